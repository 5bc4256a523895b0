//! The whole application on a real socket, with its own database and a simulated Zoho.

#[path = "app/expressions.rs"]
mod expressions;
#[path = "app/monitoring.rs"]
mod monitoring;
#[path = "app/tools.rs"]
mod tools;

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use secrecy::SecretString;
use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_server::{App, BuildError, Config, Need};
use tds_zoho::{testkit::FakeZoho, webhook::sign};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::Instant,
};

const SECRET: &str = "TdsSecret0123456";

fn config(database: &TestDatabase, fake: &FakeZoho, changes: &[(&str, &str)]) -> Config {
    let credentials = fake.credentials();
    let mut values: HashMap<String, String> = HashMap::new();
    for (name, value) in [
        ("DATABASE_URL", database.url().to_owned()),
        ("ZOHO_CLIENT_ID", credentials.client_id),
        ("ZOHO_CLIENT_SECRET", credentials.client_secret),
        ("ZOHO_REFRESH_TOKEN", credentials.refresh_token),
        ("ZOHO_ORGANIZATION_ID", credentials.organization_id),
        ("ZOHO_ACCOUNTS_URL", fake.accounts_url()),
        ("ZOHO_API_URL", fake.api_url()),
        ("ZOHO_WEBHOOK_SECRET", SECRET.to_owned()),
        ("TDS_BIND", "127.0.0.1:0".to_owned()),
    ] {
        values.insert(name.to_owned(), value);
    }
    values.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::from_lookup(|name| values.get(name).cloned(), Need::Serve)
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// Repeats a GET request until the answer satisfies `wanted`.
async fn until(url: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    loop {
        let answer: Value = client.get(url).send().await.expect("an answer").json().await.expect("JSON");
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{url} stays at {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_goes_through_the_whole_server_and_the_server_stops_cleanly() {
    let (database, fake) = (TestDatabase::new().await, FakeZoho::start().await);
    let id = fake.put_item(json!({"name": "Cable", "rate": "12.50"}));
    let app = App::build(config(&database, &fake, &[])).await.expect("an application");
    let base = format!("http://{}", app.address());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(app.run_until_stopped(async { drop(stopped.await) }));

    let health = until(&format!("{base}/health"), |report| report["status"] == "healthy").await;
    assert_eq!(health["components"].as_object().expect("components").len(), 11, "{health}");

    let body = json!({"item": {"item_id": id}}).to_string();
    let signature = sign(&SecretString::from(SECRET.to_owned()), &[], body.as_bytes());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.post(format!("{base}/api/zoho/webhooks/products")).body(body);
    let answer = request.header("X-Zoho-Webhook-Signature", signature).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let receipt: Value = answer.json().await.expect("JSON");
    let event = format!("{base}/api/zoho/webhooks/inbox/{}", receipt["inbox_event_id"]);
    let ended = until(&event, |event| event["status"] == "completed" || event["status"] == "failed").await;
    assert_eq!(ended["outcome"], "applied", "{ended}");

    // A monitor sees every address in use, with several statuses, and the call that was made for the webhook.
    let get = async |path: String| client.get(format!("{base}{path}")).send().await.expect("an answer");
    let document: Value = get("/openapi.json".to_owned()).await.json().await.expect("JSON");
    for path in document["paths"].as_object().expect("paths").keys() {
        let path = path.replace("{entity}", "products").replace("{id}", "1").replace("{zoho_id}", &id);
        get(path.clone()).await;
        get(format!("{path}?unknown=1")).await;
        client.delete(format!("{base}{path}")).send().await.expect("an answer");
    }
    let scrape = get("/metrics".to_owned()).await.text().await.expect("text");
    monitoring::check_scrape(&scrape);
    let value = |series: &str| -> f64 {
        let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} in\n{scrape}")).parse().expect("a number")
    };
    for series in [
        r#"tds_source_requests_total{product="books",result="ok"}"#,
        r#"tds_token_refresh_total{result="ok"}"#,
        r#"tds_jobs_ended_total{result="completed"}"#,
        r#"tds_db_pool_connections_max{pool="work"}"#,
        r#"tds_db_pool_connections_max{pool="ingest"}"#,
        r#"tds_sync_period_seconds{entity="products"}"#,
        "tds_token_expiry_timestamp_seconds",
        "tds_api_request_duration_seconds_count",
        "tds_database_size_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(value(series) >= 1.0, "{series} is {}", value(series));
    }

    drop(stop);
    running.await.expect("no panic").expect("a clean end");
    assert!(TcpStream::connect(base.trim_start_matches("http://")).await.is_err(), "it still listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_sent_header_is_cut_off() {
    let (database, fake) = (TestDatabase::new().await, FakeZoho::start().await);
    let app = App::build(config(&database, &fake, &[("TDS_WORKERS", "0")])).await.expect("an application");
    let address = app.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(app.run_until_stopped(async { drop(stopped.await) }));
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a").await.expect("half a header");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection is still open after 20 seconds");
    drop(stop);
    running.await.expect("no panic").expect("a clean end");
}

/// Sends bytes and reads until the server closes the connection. Returns the first line of the answer.
async fn status_line(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("bytes");
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("closed in time").expect("an answer");
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_heads_beyond_the_limits_are_refused_and_the_connection_is_closed() {
    let (database, fake) = (TestDatabase::new().await, FakeZoho::start().await);
    let app = App::build(config(&database, &fake, &[("TDS_WORKERS", "0")])).await.expect("an application");
    let address = app.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(app.run_until_stopped(async { drop(stopped.await) }));

    let head = "POST /api/zoho/webhooks/products HTTP/1.1\r\nHost: localhost\r\n";
    let stated = format!("{head}Content-Length: 8388609\r\n\r\n");
    assert_eq!(status_line(address, stated.as_bytes()).await, "HTTP/1.1 413 Payload Too Large");

    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for size in [4 << 20, 4 << 20, 1] {
        chunked.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        chunked.resize(chunked.len() + size, b'x');
        chunked.extend_from_slice(b"\r\n");
    }
    assert_eq!(status_line(address, &chunked).await, "HTTP/1.1 413 Payload Too Large");

    let flood: String = (0..100).map(|n| format!("X-Flood-{n}: 1\r\n")).collect();
    let answer = status_line(address, format!("{head}{flood}\r\n").as_bytes()).await;
    assert_eq!(answer, "HTTP/1.1 431 Request Header Fields Too Large");
    let long = format!("{head}X-Long: {}", "x".repeat(64 * 1024));
    assert_eq!(status_line(address, long.as_bytes()).await, "HTTP/1.1 431 Request Header Fields Too Large");

    drop(stop);
    running.await.expect("no panic").expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_have_an_address_of_their_own() {
    let (database, fake) = (TestDatabase::new().await, FakeZoho::start().await);
    let changes = [("TDS_WORKERS", "0"), ("TDS_METRICS_BIND", "127.0.0.1:0")];
    let app = App::build(config(&database, &fake, &changes)).await.expect("an application");
    let (main, metrics) = (app.address(), app.metrics_address().expect("an address"));
    assert_ne!(main, metrics);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(app.run_until_stopped(async { drop(stopped.await) }));

    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let get = async |url: String| client.get(url).send().await.expect("an answer");
    let shown = get(format!("http://{metrics}/metrics")).await;
    assert_eq!(shown.status(), 200);
    assert!(shown.text().await.expect("text").contains("tds_queue_jobs{"));
    assert_eq!(get(format!("http://{main}/metrics")).await.status(), 404);
    for path in ["/", "/health", "/api/zoho/sync/stats"] {
        assert_eq!(get(format!("http://{metrics}{path}")).await.status(), 404, "{path}");
    }
    drop(stop);
    running.await.expect("no panic").expect("a clean end");
    assert!(TcpStream::connect(metrics).await.is_err(), "it still listens");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_building_the_application_has_an_exit_status() {
    let (database, fake) = (TestDatabase::new().await, FakeZoho::start().await);
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let bind = taken.local_addr().expect("an address").to_string();
    let error = App::build(config(&database, &fake, &[("TDS_BIND", &bind)])).await.err().expect("a refusal");
    assert!(matches!(error, BuildError::Failed(_)), "{error}");
    assert_eq!(error.exit_status(), 1);
    assert!(error.to_string().starts_with("TDS_BIND"), "{error}");
    let mut without = config(&database, &fake, &[]);
    without.zoho = None;
    assert_eq!(App::build(without).await.err().expect("a refusal").exit_status(), 2);
}
