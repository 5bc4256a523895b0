//! Tests the log lines that a log collector reads.

use std::{process::Stdio, time::Duration};

use reqwest::{Client, Method};
use secrecy::SecretString;
use serde_json::Value;
use tds_postgres::testkit::TestDatabase;
use tds_server::{
    config::{LogConfig, LogFormat},
    telemetry,
};
use tds_zoho::{testkit::FakeZoho, webhook};
use tokio::time::{Instant, sleep};

use crate::{
    program::Program,
    serving::{free_port, wait_for_port},
    syncing,
};

const SECRET: &str = "TdsSecret0123456";
const TOKEN: &str = "an-operator-token-of-some-length";

fn in_production(program: Program) -> Program {
    program.with("APP_ENV", "production").with("TDS_ADMIN_TOKEN", TOKEN)
}

/// Parses every line, each of which must be a JSON object.
fn objects(text: &str) -> Vec<Value> {
    let object = |line: &str| -> Value {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            value["timestamp"].is_string() && value["level"].is_string() && value["message"].is_string(),
            "{line}"
        );
        value
    };
    text.lines().map(object).collect()
}

fn has(lines: &[Value], key: &str, words: &str) -> bool {
    lines.iter().any(|line| line[key].as_str().is_some_and(|text| text.contains(words)))
}

/// Sends a body whose signature was made from another text.
async fn send(base: &str, method: Method, path: &str, signed: &str, body: &str) -> u16 {
    let signature = webhook::sign(&SecretString::from(SECRET), &[], signed.as_bytes());
    let client = Client::builder().no_proxy().build().expect("a client");
    let request = client
        .request(method, format!("{base}{path}"))
        .header("x-zoho-webhook-signature", signature)
        .header("x-request-id", "id\u{9b}31m")
        .body(body.to_owned());
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn in_production_every_line_is_a_json_object_from_the_start_to_the_end() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let port = free_port();
    let program =
        in_production(syncing::program(&zoho, &database)).with("TDS_BIND", format!("127.0.0.1:{port}"));
    let running = program.start(&["serve"]);
    wait_for_port(port).await;
    let base = format!("http://127.0.0.1:{port}");
    let item = r#"{"item":{"item_id":"77","name":"Marked\u001b[31m-body"}}"#;
    let path = "/api/zoho/webhooks/products";
    assert_eq!(send(&base, Method::POST, path, item, item).await, 200);
    assert_eq!(send(&base, Method::POST, path, "no record", "no record").await, 200);
    assert_eq!(send(&base, Method::POST, path, item, &format!("{item}\r\n")).await, 401);
    assert_eq!(send(&base, Method::PATCH, path, "", "").await, 405);
    assert_eq!(send(&base, Method::POST, "/api/zoho/sync/pause", "", "{").await, 401);
    // The item is read, Zoho does not have the record, and the log reports each step.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let stored = Program::new().with("DATABASE_URL", database.url());
        let queue = stored.json(&["queue", "list", "--json"]).await;
        if queue["items"][0]["status"] == "completed" {
            break;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(100)).await;
    }
    running.terminate().await;
    let ended = running.ended_within(Duration::from_secs(20)).await;
    assert_eq!((ended.status, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    let lines = objects(&ended.stderr);
    for words in [&format!("TDS answers on {base}"), "webhook kept", "a webhook was refused", "stopping"] {
        assert!(has(&lines, "message", words), "{words} is not in\n{}", ended.stderr);
    }
    assert!(has(&lines, "hint", "without the line end"), "the log says why it was refused: {}", ended.stderr);
    for hidden in [SECRET, TOKEN, "-body"] {
        assert!(!ended.stderr.contains(hidden), "{hidden} is in\n{}", ended.stderr);
    }
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!ended.stderr.contains(control), "{:?}", ended.stderr);
}

#[tokio::test]
async fn in_production_a_start_that_fails_says_so_in_json() {
    let zoho = FakeZoho::start().await;
    let database = TestDatabase::empty().await;
    let nowhere = format!("postgres://nobody@127.0.0.1:{}/none", free_port());
    let program = in_production(syncing::program(&zoho, &database)).with("DATABASE_URL", nowhere);
    let ended = program.run(&["serve"]).await;
    assert_eq!((ended.status, ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    let lines = objects(&ended.stderr);
    let last = lines.last().expect("a line");
    assert_eq!(last["level"], "ERROR", "{last}");
}

/// An invalid setting concerns the operator who wrote it, so the error is one plain line before anything is started.
#[tokio::test]
async fn in_production_a_wrong_setting_is_still_one_plain_line() {
    let ended = Program::new().with("APP_ENV", "production").with("TDS_BIND", "here").run(&["serve"]).await;
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.lines().all(|line| line.starts_with("error: ")), "{}", ended.stderr);
}

#[tokio::test]
async fn text_logs_keep_what_comes_from_outside_in_its_line() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::empty().await);
    let port = free_port();
    let program = syncing::program(&zoho, &database)
        .with("TDS_BIND", format!("127.0.0.1:{port}"))
        .with("RUST_LOG", "debug")
        .with("TDS_ADMIN_TOKEN", TOKEN)
        .with("TDS_WORKERS", "0");
    let running = program.start(&["serve"]);
    wait_for_port(port).await;
    let base = format!("http://127.0.0.1:{port}");
    let hostile = "{\"x\\u001b[31m\\r\\n\u{202e}\":{\"x\\u001b[31m\\r\\n\u{202e}_id\":\"1\\u001b[31m\"}}";
    assert_eq!(send(&base, Method::POST, "/api/zoho/webhooks/products", hostile, hostile).await, 200);
    let query = "/api/zoho/webhooks/products?a%1b%5b2J%0d%0a=%1b";
    assert_eq!(send(&base, Method::POST, query, hostile, hostile).await, 401);
    running.terminate().await;
    let ended = running.ended_within(Duration::from_secs(20)).await;
    let harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ended.stderr.contains(harmful), "{:?}", ended.stderr);
    assert!(ended.stderr.contains("TDS answers on"), "{}", ended.stderr);
}

const ASKED: &str = "TDS_TEST_PANICS";

#[test]
fn a_panic_is_one_json_line() {
    if std::env::var_os(ASKED).is_some() {
        telemetry::init(&LogConfig { filter: "off".to_owned(), format: LogFormat::Json });
        let thread = std::thread::Builder::new().name("fragile".to_owned());
        let ended = thread.spawn(|| panic!("one\nline \u{1b}[31m only")).expect("a thread").join();
        assert!(ended.is_err());
        return;
    }
    let program = std::env::current_exe().expect("a path");
    let output = std::process::Command::new(program)
        .args(["--exact", "logs::a_panic_is_one_json_line", "--nocapture"])
        .env(ASKED, "yes")
        .stdin(Stdio::null())
        .output()
        .expect("this program");
    let text = String::from_utf8(output.stderr).expect("text");
    let lines = objects(&text);
    assert_eq!(lines.len(), 1, "{text}");
    let line = &lines[0];
    assert_eq!(
        (line["panic"].as_str(), line["thread"].as_str()),
        (Some("one\nline \u{1b}[31m only"), Some("fragile"))
    );
    assert!(line["place"].as_str().is_some_and(|place| place.contains("logs.rs")), "{line}");
}
