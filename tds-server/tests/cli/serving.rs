//! Tests `serve`, `demo` and `webhook send`.

use std::time::Duration;

use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::FakeZoho;
use tokio::time::{Instant, sleep};

use crate::{program::Program, syncing};

/// The time within which a server must end.
const GRACE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_webhook_sent_to_a_server_is_applied_and_the_server_ends_cleanly() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let port = free_port();
    let program = syncing::program(&zoho, &database).with("TDS_BIND", format!("127.0.0.1:{port}"));
    let running = program.start(&["serve"]);
    wait_for_port(port).await;

    let receipt = program.json(&["webhook", "send", "products"]).await;
    assert_eq!(receipt["status"], "accepted", "{receipt}");
    let id = receipt["inbox_event_id"].to_string();
    let event = wait_for_end(&program, &id).await;
    assert_eq!((&event["status"], &event["outcome"]), (&"completed".into(), &"applied".into()), "{event}");
    assert!(event["payload"]["item"]["item_id"].is_string(), "{event}");

    std::fs::write(program.directory().join("odd"), "no record at all").expect("written");
    let odd = program.run(&["webhook", "send", "products", "--file", "odd"]).await;
    assert!(odd.status == 1 && odd.stdout.contains("unparsed"), "{}{}", odd.stdout, odd.stderr);
    assert!(odd.stderr.contains("did not understand it"), "{}", odd.stderr);

    let replayed = program.run(&["inbox", "replay", &id]).await;
    assert!(replayed.status == 0 && replayed.stderr.contains("accepted"), "{}", replayed.stderr);
    let forged = program.run(&["webhook", "send", "stock", "--webhook-secret", "AnotherSecret99"]).await;
    assert_eq!(forged.status, 1, "{}", forged.stdout);
    assert!(
        forged.stderr.contains("401") && forged.stderr.contains("another ZOHO_WEBHOOK_SECRET"),
        "{}",
        forged.stderr
    );

    running.terminate().await;
    let ended = running.ended_within(GRACE).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
}

#[tokio::test]
async fn a_server_without_a_webhook_secret_says_in_its_health_what_to_do() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let port = free_port();
    let program = syncing::program(&zoho, &database).with("ZOHO_WEBHOOK_SECRET", "");
    let _running = program.start(&["serve", "--bind", &format!("127.0.0.1:{port}")]);
    wait_for_port(port).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let deadline = Instant::now() + Duration::from_secs(60);
    // A server on a busy machine may look unhealthy at first.
    let text = loop {
        let answer = client.get(format!("http://127.0.0.1:{port}/health")).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        if status == 200 {
            break text;
        }
        assert!(Instant::now() < deadline, "{text}");
        sleep(Duration::from_millis(100)).await;
    };
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["status"], "degraded", "{text}");
    assert_eq!(report["components"]["webhooks"]["state"], "degraded", "{text}");
    let detail = report["components"]["webhooks"]["detail"].as_str().expect("words");
    assert!(detail.contains("503") && detail.contains("ZOHO_WEBHOOK_SECRET"), "{detail}");
}

#[tokio::test]
async fn a_complete_sample_of_every_entity_type_is_accepted() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let port = free_port();
    let program = syncing::program(&zoho, &database);
    let running = program.start(&["serve", "--bind", &format!("127.0.0.1:{port}"), "--workers", "0"]);
    wait_for_port(port).await;
    let url = format!("http://127.0.0.1:{port}");
    let entities = [
        "products",
        "customers",
        "vendors",
        "invoices",
        "bills",
        "credit-notes",
        "stock",
        "prices",
        "sales-orders",
        "customer-payments",
        "purchase-orders",
        "vendor-payments",
        "vendor-credits",
    ];
    for entity in entities {
        let receipt = program.json(&["webhook", "send", entity, "--url", &url]).await;
        assert_eq!(receipt["status"], "accepted", "{entity}: {receipt}");
    }
    let queued = program.json(&["queue", "list", "--json"]).await;
    let mut types: Vec<&str> = queued["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["entity_type"].as_str())
        .collect();
    types.sort_unstable();
    let mut expected: Vec<String> = entities.iter().map(|entity| entity.replace('-', "_")).collect();
    expected.sort_unstable();
    assert_eq!(types, expected);
    let asked = program.run(&["queue", "discard", "--status", "pending"]).await;
    assert!(asked.status == 2 && asked.stderr.contains("--yes"), "{}", asked.stderr);
    assert!(asked.stderr.contains("13 items"), "{}", asked.stderr);
    let discarded = program.json(&["queue", "discard", "--status", "pending", "--yes", "--json"]).await;
    assert_eq!(discarded["affected"], 13);
    running.terminate().await;
    assert_eq!(running.ended_within(GRACE).await.status, 0);
}

#[tokio::test]
async fn the_demo_needs_nothing_syncs_and_ends_by_itself() {
    let program = Program::new();
    let mut running = program.start(&["demo", "--bind", "127.0.0.1:0", "--scale", "1", "--for", "15s"]);
    let address = running.line_with("TDS demo: http://127.0.0.1:").await;
    assert!(!address.contains(":0 "), "{address}");
    assert!(running.line_with("token:").await.len() > 30);
    let ended = running.ended_within(Duration::from_secs(60)).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("the first full sync is done"), "{}", ended.stderr);
}

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Waits until a program listens on the port.
pub(crate) async fn wait_for_port(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < deadline, "nothing listens on {port}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the event has ended, and returns it.
pub(crate) async fn wait_for_end(program: &Program, id: &str) -> serde_json::Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let event = program.json(&["inbox", "show", id, "--json"]).await;
        if !matches!(event["status"].as_str(), Some("pending" | "processing")) {
            return event;
        }
        assert!(Instant::now() < deadline, "{event}");
        sleep(Duration::from_millis(200)).await;
    }
}
