//! An organization that has Zoho Books and no Zoho Inventory: products and their stock come from Books.

use std::process::Output;

use serde_json::{Value, json};
use tds_zoho::testkit::{Fault, Module, sample};
use tokio::process::Command;

use crate::{
    records,
    shop::{Shop, program, settings},
};

const WORDS: &str = "Zoho Inventory refuses the organization";
const RECORDS: usize = 30;

fn item(n: usize) -> Value {
    let mut item = records::item();
    item["item_id"] = json!(format!("4600000004{n:08}"));
    item["sku"] = json!("");
    item
}

async fn check(shop: &Shop) -> Output {
    let mut command = Command::new(program());
    command.arg("check").env_clear().envs(settings(&shop.zoho, shop.database.url(), &[]));
    command.current_dir(std::env::temp_dir()).kill_on_drop(true).output().await.expect("it runs")
}

/// Asserts that `check` succeeds and names in one line what is missing.
async fn check_reports_it_once(shop: &Shop) {
    let output = check(shop).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(WORDS)).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(!text.contains("FAILED"), "{text}");
}

async fn products_come_from_books(refusal: Fault, code: &str) {
    let mut shop = Shop::open().await;
    for n in 0..RECORDS {
        shop.zoho.put(Module::ITEMS, item(n));
    }
    shop.zoho.faults().every("/inventory/v1", 1, refusal);

    let run = shop.sync("products", "full").await;
    assert_eq!((&run["total_items"], &run["failed_items"]), (&json!(RECORDS), &json!(0)), "{run:#}");
    let run = shop.sync("stock", "full").await;
    assert_eq!((&run["total_items"], &run["failed_items"]), (&json!(RECORDS), &json!(0)), "{run:#}");
    let wanted = i64::try_from(RECORDS).expect("small");
    assert_eq!(shop.count("erp.products").await, wanted);
    let levels = "erp.stock_levels WHERE location_zoho_id = '' AND stock_on_hand = 42";
    assert_eq!(shop.count(levels).await, wanted, "{:#?}", shop.rows("erp.stock_levels", "1").await.first());

    // Two webhooks: TDS has to read the record for the first one and the stock for the second one.
    let first = item(0)["item_id"].clone();
    let id = first.as_str().expect("an id");
    shop.zoho.update(Module::ITEMS, id, json!({"name": "renamed", "stock_on_hand": 7}));
    shop.webhook_done("products", &json!({"item": {"item_id": first}})).await;
    shop.webhook_done("stock", &json!({"item": {"item_id": first}})).await;
    assert_eq!(shop.row("products", id).await.expect("a row")["name"], "renamed");
    let sql = format!(
        "SELECT trim_scale(stock_on_hand)::text FROM erp.stock_levels
          WHERE product_zoho_id = '{id}' AND location_zoho_id = ''"
    );
    assert_eq!(shop.text(&sql).await.as_deref(), Some("7"));

    // What Books has arrives, and what only Inventory has ends its runs with one line.
    shop.zoho.put(Module::TAXES, sample::tax(15));
    shop.zoho.put(Module::CURRENCIES, sample::currencies(&[]).remove(0));
    shop.zoho.put(Module::LOCATIONS, sample::locations().remove(0));
    for entity in ["taxes", "currencies", "locations"] {
        let run = shop.sync(entity, "full").await;
        assert_eq!((&run["total_items"], &run["failed_items"]), (&json!(1), &json!(0)), "{run:#}");
    }
    let location = &shop.rows("erp.locations", "id").await[0];
    assert_eq!((&location["name"], &location["is_primary"]), (&json!("Main Warehouse"), &Value::Null));
    for entity in ["item_groups", "composite_items"] {
        let run = shop.sync_ended(entity, "full").await;
        let log = run["error_log"].as_str().unwrap_or_default();
        assert!(run["status"] == "failed" && log.contains(WORDS) && log.contains("item groups"), "{run:#}");
    }

    let (_, started) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "all", "mode": "incremental"})).await;
    let runs = started["runs"].as_array().expect("runs");
    assert!(runs.iter().all(|run| run["entity_type"] != "item_groups"), "{started:#}");
    for run in runs {
        assert_eq!(shop.run_ended(run["id"].as_i64().expect("an id")).await["status"], "completed");
    }

    // No record spends an attempt. `/health` reports the missing product as a fact: a product that never worked is no
    // trouble.
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter' OR retry_count > 0").await, 0);
    assert_eq!(shop.count("tds_inbox_events WHERE status <> 'completed'").await, 0);
    let (_, report) = shop.get("/health").await;
    let inventory = &report["components"]["inventory"];
    let detail = inventory["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(WORDS) && detail.contains(code), "{report:#}");
    assert_eq!(
        (&report["status"], &inventory["state"]),
        (&json!("healthy"), &json!("healthy")),
        "{report:#}"
    );

    // A running server has reported this already; without a server the command finds it out by itself.
    shop.until(
        "SELECT count(*)::text FROM tds_processes WHERE zoho_detail LIKE '%Zoho Inventory refuses%'",
        "1",
    )
    .await;
    check_reports_it_once(&shop).await;
    shop.stop().await;
    check_reports_it_once(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_and_stock_come_from_books_where_inventory_authorizes_nobody() {
    products_come_from_books(Fault::not_authorized(Some(57)), "57").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_and_stock_come_from_books_where_the_plan_has_no_inventory() {
    products_come_from_books(Fault::not_of_this_plan(), "9017").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_is_lost_is_reported_as_a_trouble_and_books_stands_in() {
    let shop = Shop::open_with(&[("TDS_OUTAGE_PROBE", "600ms")]).await;
    shop.zoho.put(Module::ITEMS, item(0));
    shop.sync("products", "full").await;
    shop.zoho.faults().every("/inventory/v1", 1, Fault::not_of_this_plan());
    shop.zoho.update(Module::ITEMS, item(0)["item_id"].as_str().expect("an id"), json!({"name": "renamed"}));
    shop.sync("products", "full").await;
    assert_eq!(shop.count("erp.products WHERE name = 'renamed'").await, 1);
    let (_, report) = shop.get("/health").await;
    let inventory = &report["components"]["inventory"];
    assert_eq!(
        (&report["status"], &inventory["state"]),
        (&json!("degraded"), &json!("degraded")),
        "{report:#}"
    );
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0);
}
