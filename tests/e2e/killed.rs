//! The real program is killed with SIGKILL while it gathers and reads derived values, and in the middle of runs that
//! read a part of the records.

use std::time::Duration;

use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Fault, Module};

use crate::{
    derived::{
        documents::Parties,
        values::{assert_equal, differences},
    },
    process::{Process, calls_of_the_dead_are_over, count, until, until_count},
    shop::list_calls,
};

/// The number of invoices in the part: three pages of the list.
const PART: u64 = 450;
/// The most reads that a process loses when it is killed: four workers, each with a batch of single reads.
const IN_HAND: u64 = 4 * 20;
/// The open work that follows from documents, without the second looks, which count as enqueued a minute later.
const FOLLOWING: &str = "tds_sync_queue WHERE priority = 25 AND status IN ('pending','processing','failed') AND queued_at <= now()";
const OPEN: &str = "tds_sync_queue WHERE status IN ('pending','processing','failed') AND queued_at <= now()";

fn details(zoho: &FakeZoho) -> u64 {
    zoho.calls_to("/books/v3/invoices/")
}

/// Kills the process and starts another one.
async fn replace(server: &Process, zoho: &FakeZoho, database: &TestDatabase) {
    server.kill().await;
    calls_of_the_dead_are_over(zoho, database).await;
    server.start_again().await;
}

/// Starts a run that reads a part of the invoices while every answer takes this long, and kills the process as soon as
/// this is true of the run. Returns the ended run.
async fn killed_in(
    (server, zoho, database): (&Process, &FakeZoho, &TestDatabase),
    (latency, part): (u64, Value),
    is_in_the_middle: fn(&Value) -> bool,
) -> Value {
    let mut body = json!({"entity_type": "invoices", "mode": "full"});
    body.as_object_mut().expect("an object").extend(part.as_object().expect("an object").clone());
    zoho.set_latency(Duration::from_millis(latency));
    let (status, answer) = server.post("/api/zoho/bulk-sync", body).await;
    assert_eq!(status, 202, "{answer}");
    let id = answer["runs"][0]["id"].as_i64().expect("an id");
    let path = format!("/api/zoho/sync/runs/{id}");
    until("the run is in its middle", async || is_in_the_middle(&server.get(&path).await)).await;
    server.kill().await;
    let ended = count(database, &format!("tds_sync_runs WHERE id = {id} AND status = 'completed'")).await;
    assert_eq!(ended, 0, "the run had not ended");
    calls_of_the_dead_are_over(zoho, database).await;
    zoho.set_latency(Duration::ZERO);
    server.start_again().await;
    let run = server.run_ended(id).await;
    assert_eq!(run["status"], "completed", "{run:#}");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_neither_reads_that_follow_nor_the_rest_of_a_part() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let parties = Parties::enter(&zoho);
    let server = Process::start(&zoho, &database, &[("TDS_DERIVED_WAIT", "2s"), ("TDS_LEASE", "1s")]).await;
    for entity in ["customers", "vendors", "stock"] {
        let run = server.run_ended(server.bulk_sync(entity, "full").await).await;
        assert_eq!(run["status"], "completed", "{run:#}");
    }

    // No read of stock and balances ends until the faults are over.
    let late = || Fault::Delay(Duration::from_secs(600));
    zoho.faults().every("/itemdetails", 1, late());
    zoho.faults().matching("/books/v3/contacts/*", late());
    let reads = || zoho.calls_to("/itemdetails") + zoho.calls_to("/books/v3/contacts/");
    let before = reads();
    for n in 1..=6 {
        for delivery in parties.trade(&zoho, n) {
            server.webhook_accepted(&delivery.path, &delivery.body).await;
        }
    }
    until("reads are gathered", async || count(&database, FOLLOWING).await > 0).await;
    replace(&server, &zoho, &database).await;
    until("stock and balances are being read", async || reads() > before).await;
    server.kill().await;
    assert!(count(&database, FOLLOWING).await > 0, "they wait for the next process");
    let old = differences(&zoho, &database).await;
    assert!(old.len() > 12, "stock and balances are old: {old:#?}");
    calls_of_the_dead_are_over(&zoho, &database).await;
    zoho.faults().clear();
    server.start_again().await;
    until_count(&database, "tds_inbox_events WHERE status <> 'completed'", 0).await;
    until_count(&database, OPEN, 0).await;
    assert_equal(&zoho, &database).await;

    // A part by date: the run continues after the pages that it committed.
    for n in 0..PART + 60 {
        let mut invoice = parties.invoice_of_march(1_000 + n);
        if n >= PART {
            invoice["date"] = json!("2025-04-01");
        }
        zoho.put(Module::INVOICES, invoice);
    }
    let place = (&server, &zoho, &database);
    let calls = (list_calls(&zoho, "/books/v3/invoices"), details(&zoho));
    let march = json!({"from": "2025-03-01", "to": "2025-03-31"});
    let run = killed_in(place, (300, march), |run| run["pages"].as_i64() >= Some(1)).await;
    assert_eq!((&run["total_items"], &run["processed_items"]), (&json!(PART), &json!(PART)), "{run:#}");
    let in_march = "erp.live_invoices WHERE date BETWEEN '2025-03-01' AND '2025-03-31'";
    assert_eq!(count(&database, in_march).await, i64::try_from(PART).expect("small"));
    let lists = list_calls(&zoho, "/books/v3/invoices") - calls.0;
    assert!(lists <= 4, "{lists} pages for three, one of which was perhaps listed when the process died");
    let read = details(&zoho) - calls.1;
    assert!(read <= PART + IN_HAND, "{read} invoices were read");

    // A part by ids: what was read is not read again.
    let ids: Vec<Value> =
        (0..PART).map(|n| parties.invoice_of_march(1_000 + n)["invoice_id"].clone()).collect();
    for id in ids.iter().filter_map(Value::as_str) {
        zoho.update(Module::INVOICES, id, json!({"reference_number": "seen"}));
    }
    let calls = (list_calls(&zoho, "/books/v3/invoices"), details(&zoho));
    let run =
        killed_in(place, (40, json!({"ids": ids})), |run| run["processed_items"].as_i64() >= Some(1)).await;
    assert_eq!((&run["total_items"], &run["processed_items"]), (&json!(PART), &json!(PART)), "{run:#}");
    let seen = count(&database, "erp.live_invoices WHERE reference_number = 'seen'").await;
    assert_eq!(seen, i64::try_from(PART).expect("small"));
    assert_eq!(list_calls(&zoho, "/books/v3/invoices"), calls.0, "ids need no list");
    let read = details(&zoho) - calls.1;
    assert!(read <= PART + IN_HAND, "{read} invoices were read");
    until_count(&database, OPEN, 0).await;
    server.kill().await;
}
