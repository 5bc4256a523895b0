//! Commands that run beside a server take no work and no tokens from it.

use std::time::Duration;

use serde_json::Value;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, sample};
use tokio::time::{Instant, sleep};

use crate::{
    program::Program,
    serving::{free_port, wait_for_port},
    syncing,
};

/// Repeats a GET request until the answer satisfies `wanted`.
async fn until(url: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.get(url).send().await.expect("an answer").text().await.expect("text");
        let document: Value = serde_json::from_str(&answer).expect("JSON");
        if wanted(&document) {
            return document;
        }
        assert!(Instant::now() < deadline, "{document}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn zoho_line(program: &Program) -> String {
    let document = program.json(&["check", "--json"]).await;
    let checks = document["checks"].as_array().expect("a list");
    let line = checks.iter().find(|check| check["name"] == "zoho").expect("a line");
    format!("{}: {}", line["status"].as_str().expect("text"), line["detail"].as_str().expect("text"))
}

#[tokio::test]
async fn checks_and_a_bulk_sync_beside_a_server_take_neither_its_tokens_nor_its_work() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    for n in 1..=3 {
        zoho.put_item(sample::item(n));
    }
    let port = free_port();
    let program = syncing::program(&zoho, &database).with("TDS_BIND", format!("127.0.0.1:{port}"));
    let running = program.start(&["serve"]);
    wait_for_port(port).await;
    let url = format!("http://127.0.0.1:{port}");
    until(&format!("{url}/health"), |report| report["status"] == "healthy").await;
    let zoho_is_known = async || {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !zoho_line(&program).await.contains("server reports") {
            assert!(Instant::now() < deadline, "the server does not report");
        }
    };
    zoho_is_known().await;
    let mints = zoho.mints();
    for _ in 0..9 {
        let line = zoho_line(&program).await;
        assert!(line.starts_with("ok") && line.contains("server reports"), "{line}");
    }
    let started = program.run(&["bulk-sync", "--entity", "products", "--mode", "full"]).await;
    assert_eq!(started.status, 0, "{}", started.stderr);
    assert!(started.stderr.contains("a server uses this database"), "{}", started.stderr);
    let receipt = program.json(&["webhook", "send", "products"]).await;
    let event = format!("{url}/api/zoho/webhooks/inbox/{}", receipt["inbox_event_id"]);
    until(&event, |event| event["status"] == "completed").await;
    assert_eq!(zoho.mints(), mints, "no command took a token");
    let stats = until(&format!("{url}/api/zoho/sync/stats"), |stats| stats["queue"]["pending"] == 0).await;
    assert_eq!((&stats["deferred"]["count"], &stats["oldest_pending_seconds"]), (&0.into(), &Value::Null));
    until(&format!("{url}/health"), |report| report["status"] == "healthy").await;
    running.terminate().await;
    assert_eq!(running.ended_within(Duration::from_secs(20)).await.status, 0);
}

#[tokio::test]
async fn a_bulk_sync_without_a_server_executes_its_run_and_leaves_everything_else_alone() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    zoho.put_item(sample::item(1));
    let port = free_port();
    let program = syncing::program(&zoho, &database).with("TDS_BIND", format!("127.0.0.1:{port}"));
    // This server accepts webhooks but processes nothing.
    let door = program.start(&["serve", "--workers", "0"]);
    wait_for_port(port).await;
    let receipt = program.json(&["webhook", "send", "customers"]).await;
    let url = format!("http://127.0.0.1:{port}");
    let asked = reqwest::Client::builder().no_proxy().build().expect("a client");
    let asked = asked.post(format!("{url}/api/zoho/bulk-sync")).header("content-type", "application/json");
    let asked = asked.body(r#"{"entity_type":"invoices","mode":"full"}"#).send().await.expect("an answer");
    assert_eq!(asked.status(), 202);
    program.done(&["bulk-sync", "--entity", "products", "--mode", "full"]).await;
    let runs = program.json(&["runs", "list", "--json"]).await;
    let status = |entity: &str| {
        let runs = runs["runs"].as_array().expect("a list");
        runs.iter().find(|run| run["entity_type"] == entity).expect("a run")["status"].clone()
    };
    assert_eq!((status("products"), status("invoices")), ("completed".into(), "pending".into()));
    let id = receipt["inbox_event_id"].to_string();
    let event = program.json(&["inbox", "show", &id, "--json"]).await;
    assert_eq!(event["status"], "pending", "nobody asked the command for it");
    door.terminate().await;
    assert_eq!(door.ended_within(Duration::from_secs(20)).await.status, 0);
}

#[tokio::test]
async fn checks_without_a_server_leave_tokens_to_one() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let program = syncing::program(&zoho, &database);
    for _ in 0..3 {
        assert!(zoho_line(&program).await.starts_with("ok"));
    }
    let line = zoho_line(&program).await;
    assert!(line.starts_with("warning: Zoho was not asked") && line.contains("left to servers"), "{line}");
    assert_eq!(zoho.mints(), 3);
}
