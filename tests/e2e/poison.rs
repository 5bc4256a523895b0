//! A record that cannot be stored goes to the dead letters alone, with a reason that a person understands.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use crate::{records, shop::Shop};

/// Many items, of which the middle one is changed.
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
        shop.zoho.put(Module::Items, item);
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
    assert!(message.contains(reason), "{message:?} does not tell {reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_amount_in_the_middle_of_a_page() {
    only_the_poison_is_missing(json!({"rate": "twelve"}), "rate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_character_that_the_database_refuses() {
    only_the_poison_is_missing(json!({"description": "before\u{0}after"}), "U+0000").await;
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
    shop.zoho.update(Module::Items, &id, json!({"rate": 12}));
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
    shop.zoho.update(Module::Items, &id, json!({"rate": 12}));
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
    shop.zoho.put(Module::Items, item.clone());
    let (status, _) = shop.webhook("products", &json!({"item": item}).to_string()).await;
    assert_eq!(status, 200);
    shop.until("SELECT status FROM tds_inbox_events", "failed").await;
    let event = &shop.rows("tds_inbox_events", "id").await[0];
    assert!(event["error_message"].as_str().is_some_and(|text| text.contains("rate")), "{event:#}");
}
