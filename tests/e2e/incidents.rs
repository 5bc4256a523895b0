//! Faults that once broke a production system. Each test is named after the fault that it prevents.

use serde_json::{Value, json};
use tds_zoho::testkit::{Fault, Module};

use crate::{records, shop::Shop, subject::Subject};

fn prices() -> Subject {
    Subject::all().into_iter().find(|subject| subject.entity == "prices").expect("prices")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_price_is_null_and_never_zero_or_the_base_rate() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::PRICE_LISTS, records::price_list());
    shop.sync("prices", "full").await;
    let rows = shop.rows("erp.price_list_items", "product_zoho_id, start_quantity").await;
    assert_eq!(rows[2]["rate"], Value::Null);
    assert_eq!(shop.row("price_lists", prices().id()).await.expect("a list")["currency_code"], "IQD");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_webhook_paths_keep_working_after_a_change_of_paths() {
    let shop = Shop::open().await;
    for path in ["/api/zoho/sync-products", "/api/tds/webhooks/products"] {
        let body = json!({"item": {"item_id": "1", "note": path}}).to_string();
        let (status, answer) = shop.signed(path, &body).await;
        assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("accepted")), "{path}: {answer}");
    }
    let (status, answer) = shop.signed("/api/tds/webhooks/users", r#"{"user":{"user_id":"1"}}"#).await;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("ignored")), "{answer}");
    assert_eq!(shop.count("tds_inbox_events").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_real_edit_is_not_dropped_as_a_duplicate() {
    let shop = Shop::open().await;
    let mut item = records::item();
    shop.zoho.put(Module::ITEMS, item.clone());
    shop.webhook_done("products", &json!({"item": item})).await;
    item["rate"] = json!(13_000);
    item["last_modified_time"] = json!("2026-09-14T15:44:58+0300");
    shop.zoho.put(Module::ITEMS, item.clone());
    let answer = shop.webhook_done("products", &json!({"item": item})).await;
    assert_eq!(answer["duplicate"], false);
    assert_eq!(shop.row("products", "460000000027009").await.expect("a row")["rate"], 13_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_answered_200_and_queued_once() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::ITEMS, records::item());
    let body = json!({"item": records::item()}).to_string();
    let (_, first) = shop.webhook("products", &body).await;
    for _ in 0..5 {
        let (status, again) = shop.webhook("products", &body).await;
        assert_eq!((status.as_u16(), &again["duplicate"]), (200, &json!(true)), "{again}");
        assert_eq!(
            (&again["event_id"], &again["inbox_event_id"]),
            (&first["event_id"], &first["inbox_event_id"])
        );
    }
    shop.settled().await;
    assert_eq!(shop.count("tds_inbox_events").await, 1);
    assert_eq!(shop.count("tds_sync_queue").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_body_that_no_schema_foresaw_is_kept() {
    let shop = Shop::open().await;
    let mut invoice = records::document(records::Kind::Invoice);
    shop.zoho.put(Module::INVOICES, invoice.clone());
    let body = invoice.as_object_mut().expect("an object");
    body.remove("customer_id");
    body.remove("line_items");
    body.insert("date".to_owned(), json!("17 Nov 2026"));
    body.insert("something_new".to_owned(), json!({"deep": [1, 2]}));
    shop.webhook_done("invoices", &json!({"invoice": invoice})).await;
    let row = shop.row("invoices", "460000000567114").await.expect("a row");
    assert_eq!(row["customer_zoho_id"], "460000000026049", "it was read again");
    assert_eq!(shop.count("erp.invoice_lines").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_that_cannot_be_read_is_an_error_and_never_zero() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::ITEMS, records::item());
    shop.sync("stock", "full").await;
    shop.zoho.update_silently(Module::ITEMS, "460000000027009", json!({"stock_on_hand": "n/a"}));
    let run = shop.sync_ended("stock", "full").await;
    assert_eq!(run["status"], "completed_with_errors", "{run:#}");
    let rows = shop.rows("erp.stock_levels", "location_zoho_id").await;
    assert_eq!(rows[0]["stock_on_hand"].to_string(), "42.000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_without_sku_are_not_lost() {
    let shop = Shop::open().await;
    for n in 0..5 {
        let mut item = records::item();
        item["item_id"] = json!(format!("46000000000{n}"));
        item["sku"] = json!("");
        item["reorder_level"] = json!("");
        shop.zoho.put(Module::ITEMS, item);
    }
    shop.sync("products", "full").await;
    assert_eq!(shop.count("erp.products WHERE sku IS NULL AND reorder_level IS NULL").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_of_a_product_that_is_not_known_yet_are_kept() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::PRICE_LISTS, records::price_list());
    shop.sync("prices", "full").await;
    assert_eq!(shop.count("erp.products").await, 0);
    assert_eq!(shop.count("erp.price_list_items").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_price_list_replaces_the_good_one_only_when_seen_twice() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::PRICE_LISTS, records::price_list());
    shop.sync("prices", "full").await;
    shop.zoho.update(Module::PRICE_LISTS, prices().id(), json!({"pricebook_items": []}));
    let reads = shop.zoho.calls_to("/books/v3/pricebooks/");
    shop.sync("prices", "full").await;
    assert_eq!(shop.count("erp.price_list_items").await, 0);
    assert!(
        shop.zoho.calls_to("/books/v3/pricebooks/") - reads >= 2,
        "one read was enough to erase the prices"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_list_key_is_an_error_and_not_zero_rows() {
    let shop = Shop::open_with(&[("TDS_MAX_ATTEMPTS", "2")]).await;
    shop.zoho.put(Module::PRICE_LISTS, records::price_list());
    shop.zoho.faults().every("/books/v3/pricebooks", 1, Fault::WrongEnvelope);
    let run = shop.sync_ended("prices", "full").await;
    assert_eq!(run["status"], "failed", "{run:#}");
    assert!(run["error_log"].as_str().is_some_and(|log| !log.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn vendors_are_not_stored_as_customers() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::CONTACTS, records::contact("vendor"));
    shop.webhook_done("customers", &json!({"contact": records::contact("vendor")})).await;
    shop.webhook_done("customers", &json!({"contact": {"contact_id": "460000000038029"}})).await;
    assert_eq!((shop.count("erp.customers").await, shop.count("erp.vendors").await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_event_is_replayed_in_one_command() {
    let shop = Shop::open_with(&[("TDS_MAX_ATTEMPTS", "1")]).await;
    shop.zoho.put(Module::ITEMS, records::item());
    shop.zoho.faults().every(
        "/inventory/v1/item",
        1,
        Fault::Status(400, 2, "Invalid value passed".to_owned()),
    );
    shop.webhook("products", r#"{"item":{"item_id":"460000000027009"}}"#).await;
    shop.until("SELECT status FROM tds_inbox_events", "failed").await;
    shop.zoho.faults().clear();
    let (status, answer) = shop.post("/api/zoho/webhooks/inbox/1/replay", json!({})).await;
    assert!(status.is_success(), "{answer}");
    shop.until("SELECT status FROM tds_inbox_events", "completed").await;
    assert_eq!(shop.count("erp.products").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_a_run_add_up_and_it_names_its_database() {
    let shop = Shop::open().await;
    for n in 0..30 {
        let mut item = records::item();
        item["item_id"] = json!(format!("4600000001{n:08}"));
        shop.zoho.put(Module::ITEMS, item);
    }
    let run = shop.sync("products", "full").await;
    assert_eq!(run["total_items"], 30);
    assert_eq!(run["processed_items"], shop.count("erp.products").await);
    let name = shop.text("SELECT current_database()::text").await.expect("a name");
    assert!(run["target_database"].as_str().is_some_and(|target| target.ends_with(&name)), "{run:#}");
    let again = shop.sync("products", "full").await;
    assert_eq!(
        (&again["total_items"], &again["processed_items"], &again["unchanged_items"]),
        (&json!(30), &json!(30), &json!(30))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_share_one_token() {
    let shop = Shop::open().await;
    for n in 0..60 {
        let mut invoice = records::document(records::Kind::Invoice);
        invoice["invoice_id"] = json!(format!("4600000002{n:08}"));
        shop.zoho.put(Module::INVOICES, invoice);
    }
    shop.sync("invoices", "full").await;
    assert_eq!(shop.zoho.mints(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_status_does_not_reactivate_an_item() {
    let shop = Shop::open().await;
    let mut item = records::item();
    item["status"] = json!("inactive");
    shop.zoho.put(Module::ITEMS, item.clone());
    shop.sync("products", "full").await;
    item.as_object_mut().expect("an object").remove("status");
    item["last_modified_time"] = json!("2026-09-14T15:45:57+0300");
    shop.webhook_done("products", &json!({"item": item})).await;
    assert_eq!(shop.row("products", "460000000027009").await.expect("a row")["status"], "inactive");
}
