//! Deletions that a full sync finds: a few are confirmed one by one, and many wait for an operator.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use crate::{records, shop::Shop};

async fn shop_with_items(count: usize) -> (Shop, Vec<String>) {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for n in 0..count {
        let mut item = records::item();
        item["item_id"] = json!(format!("4600000001{n:08}"));
        item["sku"] = json!("");
        ids.push(shop.zoho.put(Module::ITEMS, item));
    }
    shop.sync("products", "full").await;
    (shop, ids)
}

const GONE: &str = "erp.products WHERE deleted_at IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_deletion_marks_nothing_and_waits_for_an_operator() {
    let (shop, ids) = shop_with_items(40).await;
    for id in &ids[..25] {
        shop.zoho.delete(Module::ITEMS, id);
    }
    let run = shop.sync_ended("products", "full").await;
    assert_eq!(run["status"], "completed_with_errors");
    let log = run["error_log"].as_str().expect("a reason");
    assert!(log.contains("25") && log.contains("confirm-deletions"), "{log}");
    assert_eq!(shop.count(GONE).await, 0);

    let path = format!("/api/zoho/sync/runs/{}/confirm-deletions", run["id"]);
    let (status, answer) = shop.post(&path, json!({})).await;
    assert!(status.is_success(), "{answer}");
    shop.until(&format!("SELECT count(*)::text FROM {GONE}"), "25").await;
    let ended = shop.run_ended(run["id"].as_i64().expect("an id")).await;
    assert_eq!(ended["processed_items"], ended["total_items"], "{ended:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_only_the_list_lost_is_not_deleted() {
    let (shop, ids) = shop_with_items(5).await;
    // Zoho's lists hide inactive items by default. TDS reads this item by its id, finds it, and keeps it.
    shop.zoho.update(Module::ITEMS, &ids[0], json!({"status": "inactive"}));
    shop.sync("products", "full").await;
    assert_eq!(shop.count(GONE).await, 0);
    assert_eq!(shop.row("products", &ids[0]).await.expect("a row")["status"], "inactive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_back_loses_its_tombstone() {
    let (shop, ids) = shop_with_items(3).await;
    let record = Value::Object(shop.zoho.delete(Module::ITEMS, &ids[1]).expect("a record"));
    shop.sync("products", "full").await;
    assert_eq!(shop.count(GONE).await, 1);
    shop.zoho.put(Module::ITEMS, record);
    shop.sync("products", "full").await;
    assert_eq!(shop.count(GONE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_organization_deletes_nothing_without_an_operator() {
    let (shop, ids) = shop_with_items(30).await;
    for id in &ids {
        shop.zoho.delete(Module::ITEMS, id);
    }
    let run = shop.sync_ended("products", "full").await;
    assert_eq!(run["status"], "completed_with_errors");
    assert_eq!(shop.count(GONE).await, 0);
}
