//! TDS reads one record in several ways: from pushed bodies, from list rows, and from details. The mirror shows the
//! state of the source, whatever the way and the order.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use crate::{
    records::{self, Kind},
    shop::{Shop, list_calls},
};

const INVOICE: &str = "460000000567114";
const ITEM: &str = "460000000027009";

/// An invoice whose list row says `zipcode` where its detail says `zip`.
fn invoice() -> Value {
    let mut invoice = records::document(Kind::Invoice);
    invoice["billing_address"] = json!({"address": "1 River St", "zip": "10001"});
    invoice["shipping_address"] = json!({"address": "2 River St", "zip": "10002"});
    invoice
}

async fn address(shop: &Shop) -> String {
    let sql = "SELECT concat_ws('|', billing_address->>'zip', shipping_address->>'zip',
                 raw->'billing_address'->>'zip', billing_address->>'zipcode', raw->'billing_address'->>'zipcode')
                 FROM erp.invoices";
    shop.text(sql).await.expect("an invoice")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_row_never_replaces_the_spelling_of_a_whole_record() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::INVOICES, invoice());
    shop.webhook_done("invoices", &json!({"invoice": invoice()})).await;
    for mode in ["incremental", "full", "incremental", "full"] {
        shop.zoho.update_silently(Module::INVOICES, INVOICE, json!({"balance": 1.5, "status": mode}));
        shop.sync("invoices", mode).await;
        shop.settled().await;
        assert_eq!(address(&shop).await, "10001|10002|10001", "{mode}");
        let row = shop.row("invoices", INVOICE).await.expect("a row");
        assert_eq!((&row["status"], row["balance"].to_string().as_str()), (&json!(mode), "1.5"));
    }
    // The next read of the whole record repairs a row that an earlier list row had spoilt.
    shop.text(
        "UPDATE erp.invoices SET billing_address = '{\"zipcode\": \"10001\"}',
           raw = raw || '{\"billing_address\": {\"zipcode\": \"10001\"}}' RETURNING 1::text",
    )
    .await;
    shop.webhook_done("invoices", &json!({"invoice": {"invoice_id": INVOICE}})).await;
    assert_eq!(address(&shop).await, "10001|10002|10001");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_body_that_shows_a_payment_under_the_known_version_is_read_again() {
    let shop = Shop::open().await;
    for (module, kind, path) in [
        (Module::INVOICES, Kind::Invoice, "invoices"),
        (Module::BILLS, Kind::Bill, "bills"),
        (Module::CREDIT_NOTES, Kind::CreditNote, "credit-notes"),
    ] {
        let mut record = records::document(kind);
        let id = shop.zoho.put(module, record.clone());
        let envelope = match kind {
            Kind::Invoice => "invoice",
            Kind::Bill => "bill",
            Kind::CreditNote => "creditnote",
        };
        shop.webhook_done(path, &json!({envelope: record})).await;
        let paid = json!({"status": "paid", "balance": 0});
        shop.zoho.update_silently(module, &id, paid.clone());
        (record["status"], record["balance"]) = (paid["status"].clone(), paid["balance"].clone());
        shop.webhook_done(path, &json!({envelope: record})).await;
        let row = shop.row(kind.entity(), &id).await.expect("a row");
        assert_eq!((&row["status"], &row["balance"]), (&json!("paid"), &json!(0)), "{path}");
    }
    let mut contact = records::contact("customer");
    shop.zoho.put(Module::CONTACTS, contact.clone());
    shop.webhook_done("customers", &json!({"contact": contact})).await;
    contact["outstanding_receivable_amount"] = json!(1_000);
    shop.zoho.put(Module::CONTACTS, contact.clone());
    shop.webhook_done("customers", &json!({"contact": contact})).await;
    assert_eq!(
        shop.text("SELECT outstanding_amount::text FROM erp.customers").await.as_deref(),
        Some("1000")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_and_a_detail_of_one_version_cause_no_further_read() {
    let shop = Shop::open().await;
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tds-zoho/tests/data/webhooks/invoice-of-a-customer-with-custom-fields.json"
    );
    let body: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("JSON");
    let mut detail = body["invoice"].clone();
    let keys = detail.as_object_mut().expect("an object");
    keys.retain(|name, _| !name.starts_with("cf_") && !name.starts_with("customer_custom_field"));
    let id = shop.zoho.put(Module::INVOICES, detail);
    shop.webhook_done("invoices", &body).await;
    let fields = "SELECT custom_fields::text FROM erp.invoices";
    assert_eq!(
        shop.text(fields).await.as_deref(),
        Some(r#"{"cf_wholesale": "True", "cf_tariff_code": 8544.4}"#),
        "the customer's own field is none of the invoice's"
    );
    assert_eq!(shop.zoho.calls_to(&format!("/invoices/{id}")), 0);
    for n in 1..=3 {
        shop.webhook_done("invoices", &json!({"invoice": {"invoice_id": id, "n": n}})).await;
        let mut again = body.clone();
        again["sent"] = json!(n);
        shop.webhook_done("invoices", &again).await;
        assert_eq!(shop.zoho.calls_to(&format!("/invoices/{id}")), n, "only what is no whole body is read");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_came_as_text_makes_the_record_be_read() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::ITEMS, records::item());
    shop.sync("products", "full").await;
    let mut item = records::item();
    item["last_modified_time"] = json!("2026-09-14T15:45:00+0300");
    item["custom_fields"] = json!([]);
    shop.zoho.put(Module::ITEMS, item.clone());
    let body = item.as_object_mut().expect("an object");
    body.remove("custom_fields");
    body.insert("custom_field_hash".to_owned(), json!("{}"));
    shop.webhook_done("products", &json!({"item": item})).await;
    assert_eq!(shop.row("products", ITEM).await.expect("a row")["custom_fields"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_comes_back_is_read_although_its_body_is_known() {
    let shop = Shop::open().await;
    let state = |status: &str, stock: i64| {
        let mut item = records::item();
        (item["status"], item["stock_on_hand"]) = (json!(status), json!(stock));
        item
    };
    for path in ["products", "stock"] {
        let mut rows = std::collections::BTreeSet::new();
        for (body, known) in [(0, false), (1, false), (0, true), (0, true), (1, true)] {
            let item = [state("active", 5), state("inactive", 4)][body].clone();
            shop.zoho.put(Module::ITEMS, item.clone());
            let answer = shop.webhook_done(path, &json!({"item": item})).await;
            assert_eq!(answer["duplicate"], json!(known), "{path} {body}");
            rows.insert(answer["inbox_event_id"].as_i64());
            let shown = match path {
                "products" => shop.text("SELECT status FROM erp.products").await,
                _ => {
                    shop.text(
                        "SELECT stock_on_hand::int::text FROM erp.stock_levels WHERE location_zoho_id = ''",
                    )
                    .await
                }
            };
            let expected = if path == "products" { ["active", "inactive"][body] } else { ["5", "4"][body] };
            assert_eq!(shown.as_deref(), Some(expected), "{path} {body}");
        }
        assert_eq!(rows.len(), 2, "a delivery has one row");
    }
    let before = shop.count("tds_sync_queue").await;
    let body = json!({"item": state("inactive", 4)}).to_string();
    let (_, answer) = shop.webhook("products", &body).await;
    assert_eq!(answer["duplicate"], true);
    shop.settled().await;
    assert_eq!(shop.count("tds_sync_queue").await, before, "the newest delivery known changes nothing");
    assert_eq!(shop.count("tds_inbox_events WHERE status <> 'completed'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_repairs_what_was_changed_by_hand_and_then_reads_no_details() {
    let shop = Shop::open().await;
    shop.zoho.put(Module::ITEMS, records::item());
    let mut other = records::item();
    other["item_id"] = json!("460000000027010");
    shop.zoho.put(Module::ITEMS, other);
    shop.zoho.put(Module::INVOICES, invoice());
    shop.sync("products", "full").await;
    shop.sync("invoices", "full").await;
    let before = shop.row("products", ITEM).await.expect("a row");
    let rest = async || {
        shop.sync("products", "full").await;
        shop.sync("invoices", "full").await;
        let details = shop.zoho.calls_to("/itemdetails") + shop.zoho.calls_to("/invoices/");
        shop.sync("products", "full").await;
        shop.sync("invoices", "full").await;
        assert_eq!(
            shop.zoho.calls_to("/itemdetails") + shop.zoho.calls_to("/invoices/"),
            details,
            "what the list spells in its own way is no difference"
        );
        assert!(list_calls(&shop.zoho, "/invoices") > 0);
    };
    rest().await;
    for change in [
        "UPDATE erp.products SET rate = 1, name = 'by hand'",
        "UPDATE erp.products SET sku = NULL",
        "UPDATE erp.products SET deleted_at = now()",
        "DELETE FROM erp.products",
        "UPDATE erp.invoices SET balance = 7, number = 'X'",
    ] {
        shop.text(&format!("{change} RETURNING 1::text")).await;
        shop.sync("products", "full").await;
        shop.sync("invoices", "full").await;
        let mut after = shop.row("products", ITEM).await.expect("a row");
        (after["id"], after["synced_at"]) = (before["id"].clone(), before["synced_at"].clone());
        assert_eq!(after, before, "{change}");
        let invoice = shop.row("invoices", INVOICE).await.expect("a row");
        assert_eq!(
            (&invoice["number"], invoice["balance"].to_string().as_str()),
            (&json!("INV-00003"), "20000.25")
        );
    }
    rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_and_was_set_back_freezes_nothing() {
    let shop = Shop::open().await;
    let mut gone = records::item();
    gone["item_id"] = json!("460000000027010");
    shop.zoho.put(Module::ITEMS, records::item());
    shop.zoho.put(Module::ITEMS, gone);
    shop.zoho.put(Module::INVOICES, records::document(Kind::Invoice));
    for entity in ["products", "stock", "invoices"] {
        shop.sync(entity, "full").await;
    }
    shop.text(
        "UPDATE tds_sync_records SET observed_began = observed_began + interval '3 hours',
           observed_ended = observed_ended + interval '3 hours', detail_seen = detail_seen + interval '3 hours',
           volatile_seen = volatile_seen + interval '3 hours', first_seen_at = first_seen_at + interval '3 hours'
         RETURNING 1::text",
    )
    .await;
    shop.zoho.update_silently(Module::ITEMS, ITEM, json!({"stock_on_hand": 7}));
    shop.zoho.update_silently(Module::INVOICES, INVOICE, json!({"balance": 0, "status": "paid"}));
    shop.zoho.delete(Module::ITEMS, "460000000027010");
    for entity in ["products", "stock", "invoices"] {
        shop.sync(entity, "full").await;
    }
    let stock = "SELECT stock_on_hand::int::text FROM erp.stock_levels WHERE location_zoho_id = ''";
    assert_eq!(shop.text(stock).await.as_deref(), Some("7"));
    let invoice = "SELECT status || balance FROM erp.invoices";
    assert_eq!(shop.text(invoice).await.as_deref(), Some("paid0"));
    assert_eq!(shop.count("erp.products WHERE deleted_at IS NOT NULL").await, 1);
}
