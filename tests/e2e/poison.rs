//! A record that cannot be stored becomes the only dead letter, with a reason that an operator understands.

use serde_json::{Value, json};
use tds_zoho::testkit::{Fault, Module};

use crate::{records, shop::Shop};

/// Puts many items into Zoho, changes the middle one, and returns the id of that item.
fn with_poison(shop: &Shop, count: usize, poison: &Value) -> String {
    let mut poisoned = String::new();
    for n in 0..count {
        let mut item = records::item();
        item["item_id"] = json!(format!("4600000001{n:08}"));
        item["sku"] = json!("");
        if n == count / 2 {
            for (key, value) in poison.as_object().expect("an object") {
                item[key] = value.clone();
            }
            poisoned = item["item_id"].as_str().expect("an id").to_owned();
        }
        shop.zoho.put(Module::ITEMS, item);
    }
    poisoned
}

async fn dead_letter(shop: &Shop) -> Value {
    let (_, list) = shop.get("/api/zoho/sync/queue?status=dead_letter").await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list:#}");
    list["items"][0].clone()
}

async fn only_the_poison_is_missing(poison: Value, reason: &str) {
    let shop = Shop::open().await;
    let id = with_poison(&shop, 60, &poison);
    let run = shop.sync_ended("products", "full").await;
    assert_eq!(run["status"], "completed_with_errors", "{run:#}");
    assert_eq!(
        (&run["total_items"], &run["processed_items"], &run["failed_items"]),
        (&json!(60), &json!(60), &json!(1))
    );
    assert_eq!(shop.count("erp.products").await, 59);
    let letter = dead_letter(&shop).await;
    assert_eq!(letter["zoho_entity_id"], json!(id));
    let message = letter["error_message"].as_str().expect("a reason");
    assert!(message.contains(reason), "{message:?} does not say {reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_amount_in_the_middle_of_a_page() {
    only_the_poison_is_missing(json!({"rate": "twelve"}), "rate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_character_that_the_database_refuses_is_replaced() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::ITEMS, {
        let mut item = records::item();
        item["description"] = json!("before\u{0}after");
        item["custom_fields"] = json!([{"api_name": "cf_x", "value": "\u{0}"}]);
        item
    });
    let mut invoice = records::document(records::Kind::Invoice);
    invoice["line_items"][0]["name"] = json!("\u{0}");
    invoice["billing_address"]["city"] = json!("\u{0}");
    shop.zoho.put(Module::INVOICES, invoice);
    for entity in ["products", "invoices"] {
        shop.sync(entity, "full").await;
    }
    let sql = "SELECT concat_ws('|', description, custom_fields->>'cf_x', raw->>'description',
                 (SELECT name FROM erp.invoice_lines ORDER BY position LIMIT 1),
                 (SELECT billing_address->>'city' FROM erp.invoices)) FROM erp.products";
    let expected = "before\u{fffd}after|\u{fffd}|before\u{fffd}after|\u{fffd}|\u{fffd}";
    assert_eq!(shop.text(sql).await.as_deref(), Some(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_zoho_always_fails_for_does_not_keep_its_run_from_ending() {
    let shop = Shop::open_with(&[("TDS_MAX_ATTEMPTS", "2")]).await;
    let ids = shop.zoho.generate(Module::INVOICES, 6);
    let fault = Fault::Status(500, 1000, "Internal error".to_owned());
    shop.zoho.faults().every(&format!("/invoices/{}", ids[2]), 1, fault);
    let run = shop.sync_ended("invoices", "full").await;
    assert_eq!(
        (&run["status"], &run["failed_items"]),
        (&json!("completed_with_errors"), &json!(1)),
        "{run:#}"
    );
    assert_eq!(shop.count("erp.invoices").await, 5);
    let letter = dead_letter(&shop).await;
    assert_eq!(letter["zoho_entity_id"], json!(ids[2]));
    assert!(letter["error_message"].as_str().is_some_and(|text| text.contains("HTTP 500")), "{letter:#}");
}

/// One value that no parser reads must not cost the other records of its page.
async fn the_other_rows_land(text: &str, bytes: &[u8]) -> Shop {
    let shop = Shop::open().await;
    for n in 0..5 {
        let mut contact = records::contact("customer");
        contact["contact_id"] = json!(format!("46000000002600{n}"));
        contact["company_name"] = json!(if n == 2 { "Dijla ~guilty~" } else { "Dijla" });
        shop.zoho.put(Module::CONTACTS, contact);
    }
    shop.zoho.faults().every("/contacts", 1, Fault::Rewritten(text.to_owned(), bytes.to_owned()));
    shop.sync_ended("customers", "full").await;
    assert_eq!(shop.count("erp.customers WHERE company_name = 'Dijla'").await, 4);
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_character_in_one_row_is_replaced_and_the_page_is_read() {
    for bytes in [&b"\\ud83d"[..], b"\\udc00", b"\xff\xfe", b"\xf0\x9f\x98"] {
        let shop = the_other_rows_land("~guilty~", bytes).await;
        let name =
            shop.text("SELECT company_name FROM erp.customers WHERE zoho_id = '460000000026002'").await;
        let name = name.expect("the guilty row");
        assert!(name.starts_with("Dijla \u{fffd}") && !name.contains("~guilty~"), "{name:?}");
        let body =
            json!({"contact": {"contact_id": "460000000026002", "contact_type": "customer"}}).to_string();
        shop.webhook("customers", &body).await;
        shop.settled().await;
        assert_eq!(
            shop.count("tds_sync_queue WHERE status = 'dead_letter'").await,
            0,
            "a detail is read too"
        );
        shop.sync("customers", "full").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_any_form_is_a_dead_letter_with_its_id() {
    let shop = the_other_rows_land("\"Dijla ~guilty~\"", b"").await;
    let letter = dead_letter(&shop).await;
    assert_eq!(
        (&letter["zoho_entity_id"], &letter["entity_type"]),
        (&json!("460000000026002"), &json!("customers"))
    );
    shop.zoho.faults().clear();
    shop.sync("customers", "full").await;
    assert_eq!(shop.count("erp.customers").await, 5);
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0, "it was resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_number_and_endless_nesting_cost_one_row_at_most() {
    let shop = the_other_rows_land("\"Dijla ~guilty~\"", b"NaN").await;
    assert_eq!(shop.count("erp.customers WHERE company_name = 'NaN'").await, 1, "a text is what it says");
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    the_other_rows_land("\"Dijla ~guilty~\"", deep.as_bytes()).await;

    let shop = Shop::open().await;
    for n in 0..3 {
        let mut item = records::item();
        item["item_id"] = json!(format!("46000000002700{n}"));
        item["rate"] = if n == 1 { json!(777.125) } else { json!(5) };
        shop.zoho.put(Module::ITEMS, item);
    }
    shop.zoho.faults().every("/inventory/v1", 1, Fault::Rewritten("777.125".to_owned(), b"NaN".to_vec()));
    shop.sync_ended("products", "full").await;
    assert_eq!(shop.count("erp.products").await, 2);
    let letter = dead_letter(&shop).await;
    assert_eq!(letter["zoho_entity_id"], json!("460000000027001"));
    assert!(letter["error_message"].as_str().expect("a reason").contains("rate"), "{letter:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_half_a_character_is_read_again() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::ITEMS, records::item());
    let body = json!({"item": records::item()}).to_string().replace("CBL-3", "CBL \\ud83d");
    let (status, answer) = shop.webhook("products", &body).await;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("accepted")), "{answer}");
    shop.settled().await;
    assert_eq!(shop.text("SELECT sku FROM erp.products").await.as_deref(), Some("CBL-3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_beyond_every_number_type() {
    let huge: Value = serde_json::from_str("1e200000").expect("JSON");
    only_the_poison_is_missing(json!({"purchase_rate": huge}), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_record_is_healed_by_a_retry() {
    let shop = Shop::open().await;
    let id = with_poison(&shop, 3, &json!({"rate": "twelve"}));
    shop.sync_ended("products", "full").await;
    let letter = dead_letter(&shop).await;
    shop.zoho.update(Module::ITEMS, &id, json!({"rate": 12}));
    let (_, answer) = shop.post(&format!("/api/zoho/sync/queue/{}/retry", letter["id"]), json!({})).await;
    assert_eq!(answer["affected"], 1, "{answer}");
    shop.settled().await;
    assert_eq!(shop.count("erp.products").await, 3);
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_good_version_of_a_record_resolves_its_dead_letter() {
    let shop = Shop::open().await;
    let id = with_poison(&shop, 3, &json!({"rate": "twelve"}));
    shop.sync_ended("products", "full").await;
    shop.zoho.update(Module::ITEMS, &id, json!({"rate": 12}));
    shop.sync("products", "incremental").await;
    assert_eq!(shop.count("erp.products").await, 3);
    assert_eq!(
        shop.count("tds_sync_queue WHERE status = 'dead_letter'").await,
        0,
        "the dead letter is resolved"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_cannot_be_stored_fails_with_its_event() {
    let shop = Shop::open().await;
    let mut item = records::item();
    item["rate"] = json!("twelve");
    shop.zoho.put(Module::ITEMS, item.clone());
    let (status, _) = shop.webhook("products", &json!({"item": item}).to_string()).await;
    assert_eq!(status, 200);
    shop.until("SELECT status FROM tds_inbox_events", "failed").await;
    let event = &shop.rows("tds_inbox_events", "id").await[0];
    assert!(event["error_message"].as_str().is_some_and(|text| text.contains("rate")), "{event:#}");
}
