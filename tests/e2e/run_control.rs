//! The commands of operators: runs, pauses, dead letters, replays.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tds_zoho::{
    entities::Catalogue,
    testkit::{Fault, Module},
};
use tokio::time::{Instant, sleep};

use crate::{
    records,
    shop::{Shop, list_calls},
};

fn many_invoices(shop: &Shop, count: usize) {
    for n in 0..count {
        let mut invoice = records::document(records::Kind::Invoice);
        invoice["invoice_id"] = json!(format!("4600000002{n:08}"));
        shop.zoho.put(Module::INVOICES, invoice);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_an_active_entity_type_is_refused() {
    let shop = Shop::open().await;
    many_invoices(&shop, 50);
    shop.zoho.set_latency(Duration::from_millis(50));
    let request = json!({"entity_type": "invoices", "mode": "full"});
    let (status, first) = shop.post("/api/zoho/bulk-sync", request.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{first}");
    let (status, second) = shop.post("/api/zoho/bulk-sync", request).await;
    assert_eq!(status, StatusCode::CONFLICT, "{second}");
    let run = shop.run_ended(first["runs"][0]["id"].as_i64().expect("an id")).await;
    assert_eq!(run["status"], "completed", "{run:#}");
    assert_eq!((&run["total_items"], &run["progress_percent"]), (&json!(50), &json!(100.0)), "{run:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_entity_types_sync_together() {
    let shop = Shop::open().await;
    let (status, answer) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "all", "mode": "full"})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let runs = answer["runs"].as_array().expect("runs").clone();
    assert_eq!(runs.len(), Catalogue::default().names().count());
    for run in runs {
        let run = shop.run_ended(run["id"].as_i64().expect("an id")).await;
        assert_eq!(run["status"], "completed", "{run:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_keeps_what_was_done_and_resumes_at_its_checkpoint() {
    let shop = Shop::open().await;
    many_invoices(&shop, 700);
    shop.zoho.set_latency(Duration::from_millis(40));
    let (_, answer) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "invoices", "mode": "full"})).await;
    let id = answer["runs"][0]["id"].as_i64().expect("an id");
    shop.until(&format!("SELECT (pages >= 1)::text FROM tds_sync_runs WHERE id = {id}"), "true").await;
    let (status, run) = shop.post(&format!("/api/zoho/sync/runs/{id}/cancel"), json!({})).await;
    assert_eq!((status, &run["status"]), (StatusCode::OK, &json!("cancelled")), "{run:#}");
    shop.zoho.set_latency(Duration::ZERO);
    let lists = list_calls(&shop.zoho, "/books/v3/invoices");
    let (status, run) = shop.post(&format!("/api/zoho/sync/runs/{id}/resume"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{run:#}");
    let run = shop.run_ended(id).await;
    assert_eq!((&run["status"], &run["total_items"]), (&json!("completed"), &json!(700)), "{run:#}");
    assert!(list_calls(&shop.zoho, "/books/v3/invoices") - lists <= 4);
    shop.settled().await;
    assert_eq!(shop.count("erp.invoices").await, 700);
}

/// Starts a run over a slow source and returns as soon as the run reads its first details. The caller cancels the run.
async fn cancelled_at_once(shop: &Shop, count: usize) -> i64 {
    many_invoices(shop, count);
    shop.zoho.set_latency(Duration::from_millis(300));
    let (status, answer) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "invoices", "mode": "full"})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let id = answer["runs"][0]["id"].as_i64().expect("an id");
    shop.until("SELECT (count(*) > 0)::text FROM tds_sync_queue WHERE status = 'processing'", "true").await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while details(shop) == 0 {
        assert!(Instant::now() < deadline, "nothing is read");
        sleep(Duration::from_millis(10)).await;
    }
    id
}

fn details(shop: &Shop) -> u64 {
    shop.zoho.calls_to("/books/v3/invoices/")
}

/// Asserts that no detail is read for four seconds, in which slow calls would have read about fifty. A few may be read
/// before.
async fn nothing_is_read_any_more(shop: &Shop) {
    let deadline = Instant::now() + Duration::from_secs(15);
    let (mut before, mut since) = (details(shop), Instant::now());
    while since.elapsed() < Duration::from_secs(4) {
        assert!(Instant::now() < deadline, "details are still read: {before}");
        sleep(Duration::from_millis(50)).await;
        if details(shop) != before {
            (before, since) = (details(shop), Instant::now());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_at_once_makes_no_more_calls_and_resumes_completely() {
    let shop = Shop::open().await;
    let id = cancelled_at_once(&shop, 400).await;
    let (status, run) = shop.post(&format!("/api/zoho/sync/runs/{id}/cancel"), json!({})).await;
    assert_eq!((status, &run["status"]), (StatusCode::OK, &json!("cancelled")), "{run:#}");
    let calls = details(&shop);
    nothing_is_read_any_more(&shop).await;
    let late = details(&shop) - calls;
    // A batch that is being processed notices the cancellation within seconds. Without it, about 390 more details
    // would be read.
    assert!(late <= 150, "{late} details were read after the run was cancelled");
    let left = "tds_sync_queue WHERE status IN ('pending', 'processing', 'failed', 'dead_letter')";
    assert_eq!(shop.count(left).await, 0, "the queue has none of its items");
    assert_eq!(shop.count("tds_queue_waiters").await, 0, "and it waits for none");
    let kept = shop.count("erp.invoices").await;
    assert!((0..400).contains(&kept), "{kept} were read already");

    shop.zoho.set_latency(Duration::ZERO);
    let (status, run) = shop.post(&format!("/api/zoho/sync/runs/{id}/resume"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{run:#}");
    let run = shop.run_ended(id).await;
    assert_eq!((&run["status"], &run["id"]), (&json!("completed"), &json!(id)), "{run:#}");
    assert_eq!(
        (&run["total_items"], &run["processed_items"], &run["failed_items"]),
        (&json!(400), &json!(400), &json!(0)),
        "{run:#}"
    );
    shop.settled().await;
    assert_eq!(shop.count("erp.invoices").await, 400);
    assert_eq!(shop.count("tds_run_kept").await, 0, "nothing is kept for another resume");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_webhook_waits_for_too_are_read_although_the_run_is_cancelled() {
    let shop = Shop::open().await;
    let id = cancelled_at_once(&shop, 300).await;
    for n in [297, 298, 299] {
        let body = json!({"invoice": {"invoice_id": format!("4600000002{n:08}")}}).to_string();
        let (status, answer) = shop.webhook("invoices", &body).await;
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("accepted")), "{answer}");
    }
    let (status, run) = shop.post(&format!("/api/zoho/sync/runs/{id}/cancel"), json!({})).await;
    assert_eq!((status, &run["status"]), (StatusCode::OK, &json!("cancelled")), "{run:#}");
    shop.until("SELECT count(*)::text FROM tds_inbox_events WHERE status = 'completed'", "3").await;
    let last = "erp.invoices WHERE zoho_id >= '460000000200000297'";
    assert_eq!(shop.count(last).await, 3);
    nothing_is_read_any_more(&shop).await;
    assert!(shop.count("erp.invoices").await < 300);
    assert_eq!(shop.count("tds_queue_waiters").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_entity_type_waits_while_webhooks_are_kept() {
    let shop = Shop::open().await;
    let item = records::item();
    shop.zoho.put(Module::ITEMS, item.clone());
    let (status, _) = shop.post("/api/zoho/sync/pause", json!({"entity_type": "products"})).await;
    assert!(status.is_success());
    let (status, _) = shop.webhook("products", &json!({"item": item}).to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let contact = json!({"contact": records::contact("customer")}).to_string();
    shop.webhook("customers", &contact).await;
    shop.until("SELECT count(*)::text FROM erp.customers", "1").await;
    assert_eq!(shop.count("erp.products").await, 0, "only the paused entity type waits");
    let (status, _) = shop.post("/api/zoho/sync/resume", json!({"entity_type": "products"})).await;
    assert!(status.is_success());
    shop.settled().await;
    assert_eq!(shop.count("erp.products").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_retried_or_discarded_and_its_event_follows() {
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
    let filter = json!({"status": "dead_letter", "entity_type": "products"});
    let (_, answer) = shop.post("/api/zoho/sync/queue/retry", filter).await;
    assert_eq!(answer["affected"], 1, "{answer}");
    shop.until("SELECT status FROM tds_inbox_events", "completed").await;
    assert_eq!(shop.count("erp.products").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_that_was_accepted() {
    let mut shop = Shop::open_with(&[("TDS_WORKERS", "0")]).await;
    for n in 0..20 {
        let mut item = records::item();
        item["item_id"] = json!(format!("4600000001{n:08}"));
        shop.zoho.put(Module::ITEMS, item.clone());
        let (status, _) = shop.webhook("products", &json!({"item": item}).to_string()).await;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'pending'").await, 20);
    shop.stop().await;
    shop.set("TDS_WORKERS", "4");
    shop.start().await;
    shop.settled().await;
    assert_eq!(shop.count("erp.products").await, 20);
    assert_eq!(shop.count("tds_inbox_events WHERE status = 'completed'").await, 20);
}
