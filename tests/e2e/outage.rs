//! The database is unavailable for a while: TDS answers Zoho with 503 and `Retry-After`, and loses nothing.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tds_zoho::testkit::Module;
use tokio::time::{Instant, sleep};

use crate::{records, shop::Shop};

fn item(id: &str) -> Value {
    let mut item = records::item();
    item["item_id"] = json!(id);
    item["sku"] = json!("");
    item
}

async fn until_ready_is(shop: &Shop, wanted: StatusCode) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (status, answer) = shop.get("/readyz").await;
        if status == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "/readyz stays at {status}: {answer}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_loses_nothing_and_ends_by_itself() {
    let shop = Shop::open_with(&[("TDS_LEASE", "3s")]).await;
    for id in ["1", "2"] {
        shop.zoho.put(Module::ITEMS, item(id));
    }
    // The slow answer keeps this event being processed while the database is cut off.
    shop.zoho.set_latency(Duration::from_millis(500));
    let (status, accepted) = shop.webhook("products", r#"{"item":{"item_id":"1"}}"#).await;
    assert_eq!(status, StatusCode::OK, "{accepted}");
    shop.database.cut().await;

    let delivery = json!({"item": item("2")}).to_string();
    let path = "/api/zoho/webhooks/products";
    let refused = shop.signed_request(path, &delivery).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let after = refused.headers()["retry-after"].to_str().expect("text").parse::<u32>().expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!(problem["type"], "/problems/unavailable", "{problem}");
    until_ready_is(&shop, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(shop.get("/livez").await.0, StatusCode::OK);
    assert_eq!(shop.get("/health").await.1["status"], "unhealthy");
    assert_eq!(shop.get("/api/zoho/sync/stats").await.0, StatusCode::SERVICE_UNAVAILABLE);

    shop.database.restore().await;
    until_ready_is(&shop, StatusCode::OK).await;
    let (status, accepted) = shop.webhook("products", &delivery).await;
    assert_eq!((status, &accepted["duplicate"]), (StatusCode::OK, &json!(false)), "{accepted}");
    shop.settled().await;
    assert_eq!(shop.count("tds_inbox_events WHERE status = 'completed'").await, 2);
    assert_eq!(shop.count("erp.products").await, 2);
    assert_eq!(shop.count("tds_sync_queue WHERE status <> 'completed'").await, 0);
}
