//! A fault of Zoho, of the account or of the network affects all records: no record spends an attempt, and TDS recovers
//! by itself.

use std::time::Duration;

use serde_json::{Value, json};
use tds_zoho::testkit::{Fault, Module};
use tokio::time::{Instant, sleep};

use crate::{records, shop::Shop};

const RECORDS: usize = 50;

/// Opens a shop in which probes come quickly and a record is given up early.
async fn open() -> Shop {
    let shop = Shop::open_with(&[("TDS_OUTAGE_PROBE", "600ms"), ("TDS_MAX_ATTEMPTS", "2")]).await;
    for n in 0..RECORDS {
        let mut invoice = records::document(records::Kind::Invoice);
        invoice["invoice_id"] = json!(id(n));
        shop.zoho.put(Module::INVOICES, invoice);
    }
    shop
}

fn id(n: usize) -> String {
    format!("4600000009{n:08}")
}

/// Sends webhooks that only name their record.
async fn push(shop: &Shop) {
    for n in 0..RECORDS {
        let body = json!({"invoice": {"invoice_id": id(n)}}).to_string();
        let (status, answer) = shop.webhook("invoices", &body).await;
        assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("accepted")), "{answer}");
    }
}

async fn health_reports(shop: &Shop, words: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (_, report) = shop.get("/health").await;
        let zoho: &Value = &report["components"]["zoho"];
        if report["status"] == "degraded" && zoho["detail"].as_str().is_some_and(|text| text.contains(words))
        {
            return;
        }
        assert!(Instant::now() < deadline, "{words}: {report:#}");
        sleep(Duration::from_millis(30)).await;
    }
}

async fn nobody_was_blamed(shop: &Shop) {
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0);
    assert_eq!(shop.count("tds_sync_queue WHERE retry_count > 0").await, 0, "no attempt was spent");
    assert_eq!(shop.count("tds_inbox_events WHERE status = 'failed'").await, 0);
}

/// Runs an outage: the fault lasts for a while on all paths with this prefix. All work waits, and continues when the
/// fault is over.
async fn an_outage_of(paths: &str, fault: Fault, words: &str) {
    let shop = open().await;
    shop.zoho.faults().every(paths, 1, fault);
    push(&shop).await;
    health_reports(&shop, words).await;
    let calls = shop.zoho.calls_to("/books/v3/invoices");
    sleep(Duration::from_secs(3)).await;
    let made = shop.zoho.calls_to("/books/v3/invoices") - calls;
    assert!(made <= 40, "{made} calls in three seconds for {RECORDS} records that wait");
    nobody_was_blamed(&shop).await;
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'completed'").await, 0);
    shop.zoho.faults().clear();
    shop.settled().await;
    nobody_was_blamed(&shop).await;
    assert_eq!(shop.count("erp.invoices").await, i64::try_from(RECORDS).expect("small"));
    assert_eq!(shop.get("/health").await.1["components"]["zoho"]["state"], "healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_lost_its_organization_makes_no_dead_letter_and_goes_on_by_itself() {
    an_outage_of("/books", Fault::user_left(), "6041").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_without_the_plan_makes_no_dead_letter_and_goes_on_by_itself() {
    an_outage_of("/books", Fault::not_of_this_plan(), "9017").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_firewall_makes_no_dead_letter_and_goes_on_by_itself() {
    let page = "<html><body>Request blocked</body></html>".to_owned();
    an_outage_of("", Fault::Text(403, page, None), "403").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_zoho_makes_no_dead_letter_and_goes_on_by_itself() {
    an_outage_of("", Fault::Html(503), "503").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn details_that_fail_while_the_list_works_hold_the_cursor_and_are_read_later() {
    let shop = open().await;
    shop.zoho.faults().matching("/books/v3/invoices/*", Fault::Html(503));
    let (status, answer) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "invoices", "mode": "incremental"})).await;
    assert_eq!(status.as_u16(), 202, "{answer}");
    shop.until("SELECT (total_items > 0)::text FROM tds_sync_runs", "true").await;
    health_reports(&shop, "HTTP 503").await;
    sleep(Duration::from_secs(2)).await;
    nobody_was_blamed(&shop).await;
    assert_eq!(shop.count("tds_cursors WHERE entity_type = 'invoices'").await, 0, "the cursor waits too");
    shop.zoho.faults().clear();
    let run = shop.run_ended(answer["runs"][0]["id"].as_i64().expect("an id")).await;
    assert_eq!((&run["status"], &run["failed_items"]), (&json!("completed"), &json!(0)), "{run:#}");
    assert_eq!(shop.count("tds_cursors WHERE entity_type = 'invoices' AND cursor IS NOT NULL").await, 1);
    assert_eq!(shop.count("erp.invoices").await, i64::try_from(RECORDS).expect("small"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_without_a_code_is_a_limit_whose_wait_is_honoured() {
    let shop = open().await;
    shop.zoho.faults().every("/books", 1, Fault::throttled_without_code(1_320));
    push(&shop).await;
    let waits = "SELECT (count(*) = 50)::text FROM tds_sync_queue
                  WHERE status = 'pending' AND run_at > now() + interval '15 minutes'";
    shop.until(waits, "true").await;
    nobody_was_blamed(&shop).await;
    let (_, stats) = shop.get("/api/zoho/sync/stats").await;
    assert_eq!(stats["api_budget"]["paused_for"], "minute", "{stats:#}");
    assert_eq!(shop.get("/health").await.1["status"], "degraded");
}
