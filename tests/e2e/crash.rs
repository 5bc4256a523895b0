//! The real program, killed with SIGKILL: what was accepted is completed after the restart.

use std::{process::Stdio, time::Duration};

use reqwest::{Client, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tds_postgres::testkit::TestDatabase;
use tds_zoho::{
    testkit::{FakeZoho, Module},
    webhook,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

use crate::{
    records,
    shop::{SECRET, TOKEN, list_calls, program, settings},
};

const PATIENCE: Duration = Duration::from_secs(120);

struct Program {
    child: Child,
    base: String,
    client: Client,
}

impl Program {
    async fn start(zoho: &FakeZoho, database: &TestDatabase) -> Self {
        let port = free_port().await;
        let bind = format!("127.0.0.1:{port}");
        let mut command = Command::new(program());
        command.arg("serve").env_clear().envs(settings(
            zoho,
            database.url(),
            &[("TDS_BIND", &bind), ("TDS_LEASE", "3s")],
        ));
        command.current_dir(std::env::temp_dir()).kill_on_drop(true);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let log = child.stderr.take().expect("stderr");
        tokio::spawn(async move {
            let mut lines = BufReader::new(log).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                #[expect(clippy::print_stderr, reason = "shown where the test fails")]
                {
                    eprintln!("server: {line}");
                }
            }
        });
        let client = Client::builder().no_proxy().build().expect("a client");
        let program = Self { child, base: format!("http://{bind}"), client };
        program.until("it is ready", |program| Box::pin(async move { program.ready().await })).await;
        program
    }

    async fn ready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(TOKEN);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn webhook(&self, body: &str) -> bool {
        let request = self
            .client
            .post(format!("{}/api/zoho/webhooks/products", self.base))
            .header(
                "x-zoho-webhook-signature",
                webhook::sign(&SecretString::from(SECRET), &[], body.as_bytes()),
            )
            .body(body.to_owned());
        request.send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    async fn until<'a, F>(&'a self, what: &str, condition: F)
    where
        F: Fn(&'a Self) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>>,
    {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self).await {
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn kill(mut self) {
        self.child.kill().await.expect("SIGKILL");
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

fn item(n: usize) -> Value {
    let mut item = records::item();
    item["item_id"] = json!(format!("4600000001{n:08}"));
    item["sku"] = json!("");
    item
}

async fn count(database: &TestDatabase, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(database.database().pool()).await.expect("a count")
}

async fn until_count(database: &TestDatabase, sql: &'static str, wanted: i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = count(database, sql).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_sync_of_2000_records_survives_a_kill_and_resumes_at_its_checkpoint() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    for n in 0..2_000 {
        zoho.put(Module::Items, item(n));
    }
    zoho.set_latency(Duration::from_millis(60));
    let program = Program::start(&zoho, &database).await;
    let wish = json!({"entity_type": "products", "mode": "full"});
    let request =
        program.client.post(format!("{}/api/zoho/bulk-sync", program.base)).bearer_auth(TOKEN).json(&wish);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::ACCEPTED);
    program
        .until("four pages are committed", |program| {
            Box::pin(async move { program.get("/api/zoho/sync/runs/1").await["pages"].as_i64() >= Some(4) })
        })
        .await;
    program.kill().await;

    let before = list_calls(&zoho, "/inventory/v1/items");
    let program = Program::start(&zoho, &database).await;
    until_count(&database, "SELECT count(*) FROM tds_sync_runs WHERE status = 'completed'", 1).await;
    let run = program.get("/api/zoho/sync/runs/1").await;
    assert_eq!((&run["total_items"], &run["processed_items"]), (&json!(2000), &json!(2000)), "{run:#}");
    assert_eq!(count(&database, "SELECT count(*) FROM erp.products").await, 2_000);
    let lists = list_calls(&zoho, "/inventory/v1/items") - before;
    assert!(lists <= 7, "{lists} pages were listed after the kill: it began again instead of resuming");
    program.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_webhooks_survive_a_kill() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    for n in 0..500 {
        zoho.put(Module::Items, item(n));
    }
    let program = Program::start(&zoho, &database).await;
    let mut accepted = 0;
    for n in 0..250 {
        accepted += i64::from(program.webhook(&json!({"item": item(n)}).to_string()).await);
    }
    assert_eq!(accepted, 250);
    program.kill().await;

    let program = Program::start(&zoho, &database).await;
    for n in 250..500 {
        // Zoho repeats what it got no answer to: some of these are duplicates.
        assert!(program.webhook(&json!({"item": item(n)}).to_string()).await);
        assert!(program.webhook(&json!({"item": item(n - 100)}).to_string()).await);
    }
    program.kill().await;

    let program = Program::start(&zoho, &database).await;
    until_count(&database, "SELECT count(*) FROM tds_inbox_events WHERE status = 'completed'", 500).await;
    assert_eq!(count(&database, "SELECT count(*) FROM tds_inbox_events").await, 500);
    assert_eq!(count(&database, "SELECT count(*) FROM erp.products").await, 500);
    assert_eq!(count(&database, "SELECT count(*) FROM tds_sync_queue WHERE status <> 'completed'").await, 0);
    program.kill().await;
}
