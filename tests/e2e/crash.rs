//! The real program is killed with SIGKILL: everything that it accepted is completed after the restart.

use std::time::Duration;

use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Fault, Module};

use crate::{
    process::{Process, calls_of_the_dead_are_over, count, until, until_count},
    records,
    shop::list_calls,
};

fn item(n: usize) -> Value {
    let mut item = records::item();
    item["item_id"] = json!(format!("4600000001{n:08}"));
    item["sku"] = json!("");
    item
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_sync_of_2000_records_survives_a_kill_and_resumes_at_its_checkpoint() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    for n in 0..2_000 {
        zoho.put(Module::ITEMS, item(n));
    }
    zoho.set_latency(Duration::from_millis(60));
    let server = Process::start(&zoho, &database, &[]).await;
    let id = server.bulk_sync("products", "full").await;
    let path = format!("/api/zoho/sync/runs/{id}");
    until("four pages are committed", async || server.get(&path).await["pages"].as_i64() >= Some(4)).await;
    server.kill().await;

    let before = list_calls(&zoho, "/inventory/v1/items");
    server.start_again().await;
    let run = server.run_ended(id).await;
    assert_eq!(run["status"], "completed", "{run:#}");
    assert_eq!((&run["total_items"], &run["processed_items"]), (&json!(2000), &json!(2000)), "{run:#}");
    assert_eq!(count(&database, "erp.products").await, 2_000);
    let lists = list_calls(&zoho, "/inventory/v1/items") - before;
    assert!(lists <= 7, "{lists} pages were listed after the kill: it began again instead of resuming");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_webhooks_survive_a_kill() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    for n in 0..500 {
        zoho.put(Module::ITEMS, item(n));
    }
    let server = Process::start(&zoho, &database, &[]).await;
    let send = async |n: usize| {
        let answer = server.webhook("products", &json!({"item": item(n)}).to_string()).await;
        assert!(answer.as_ref().is_some_and(|(status, _)| status.is_success()), "{answer:?}");
    };
    for n in 0..250 {
        send(n).await;
    }
    server.kill().await;

    server.start_again().await;
    for n in 250..500 {
        // Zoho repeats a delivery that was not answered, so some of these deliveries are duplicates.
        send(n).await;
        send(n - 100).await;
    }
    server.kill().await;

    server.start_again().await;
    until_count(&database, "tds_inbox_events WHERE status = 'completed'", 500).await;
    assert_eq!(count(&database, "tds_inbox_events").await, 500);
    assert_eq!(count(&database, "erp.products").await, 500);
    assert_eq!(count(&database, "tds_sync_queue WHERE status <> 'completed'").await, 0);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_record_is_written_though_the_server_was_killed_four_times_while_it_was_read() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let invoice = records::document(records::Kind::Invoice);
    let id = zoho.put(Module::INVOICES, invoice);
    // The answer takes so long that no process receives it while the server is killed again and again.
    zoho.faults().matching("/books/v3/invoices/*", Fault::Delay(Duration::from_secs(600)));
    let limits = [("TDS_MAX_ATTEMPTS", "3"), ("TDS_LEASE", "1s")];
    let server = Process::start(&zoho, &database, &limits).await;
    server.webhook_accepted("invoices", &json!({"invoice": {"invoice_id": id}}).to_string()).await;
    let reads = || zoho.calls_to("/books/v3/invoices/");
    for kills in 1..=4 {
        until("the record is being read", async || reads() >= kills).await;
        server.kill().await;
        calls_of_the_dead_are_over(&zoho, &database).await;
        if kills == 4 {
            zoho.faults().clear();
        }
        server.start_again().await;
    }
    until_count(&database, "tds_inbox_events WHERE status = 'completed' AND outcome = 'applied'", 1).await;
    assert_eq!(count(&database, "erp.invoices").await, 1);
    assert_eq!(count(&database, "tds_sync_queue WHERE status <> 'completed' OR retry_count > 0").await, 0);
    let item = server.get("/api/zoho/sync/queue").await["items"][0].clone();
    let history = server.get(&format!("/api/zoho/sync/queue/{}", item["id"])).await;
    let attempts = history["attempts"].as_array().cloned().unwrap_or_default();
    let lost = attempts.iter().filter(|attempt| attempt["result"] == "lease_lost").count();
    assert_eq!(lost, 4, "{history:#}");
    server.kill().await;
}
