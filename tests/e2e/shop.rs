//! A shop: a simulated Zoho organization, a fresh database, and the server between them.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use reqwest::{Client, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tds_postgres::testkit::TestDatabase;
use tds_server::{App, Config, Entities, Need};
use tds_zoho::{
    testkit::{FakeZoho, demo::Size},
    webhook,
};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

pub(crate) const SECRET: &str = "TdsSecret0123456";
pub(crate) const TOKEN: &str = "an-operator-token-of-some-length";
const PATIENCE: Duration = Duration::from_secs(60);
/// The size of an organization in which every kind of record exists, and few of each.
pub(crate) const FEW: Size = Size {
    items: 12,
    customers: 8,
    vendors: 3,
    invoices: 24,
    bills: 8,
    credit_notes: 4,
    sales_orders: 12,
    purchase_orders: 5,
    vendor_credits: 2,
};
/// How long reads wait while the calls of the day do not suffice. A minute is too long for a test.
const FRUGAL_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Shop {
    pub(crate) zoho: FakeZoho,
    pub(crate) database: TestDatabase,
    pub(crate) base: String,
    client: Client,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    settings: HashMap<String, String>,
    entities: Entities,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    /// Opens a shop with further environment variables.
    pub(crate) async fn open_with(more: &[(&str, &str)]) -> Self {
        Self::open_over(FakeZoho::start().await, more).await
    }

    /// Opens a shop with an empty database over an organization that other shops may use as well.
    pub(crate) async fn open_over(zoho: FakeZoho, more: &[(&str, &str)]) -> Self {
        Self::open_at(zoho, TestDatabase::new().await, more).await
    }

    /// Opens a shop over a database that is prepared already.
    pub(crate) async fn open_at(zoho: FakeZoho, database: TestDatabase, more: &[(&str, &str)]) -> Self {
        Self::put_together(zoho, database, more, Entities::default()).await
    }

    /// Opens a shop with an empty database and a server of these entity types.
    pub(crate) async fn open_with_entities(zoho: FakeZoho, entities: Entities) -> Self {
        Self::put_together(zoho, TestDatabase::new().await, &[], entities).await
    }

    async fn put_together(
        zoho: FakeZoho,
        database: TestDatabase,
        more: &[(&str, &str)],
        entities: Entities,
    ) -> Self {
        let settings = settings(&zoho, database.url(), more);
        let client = Client::builder().no_proxy().build().expect("a client");
        let mut shop = Self { zoho, database, base: String::new(), client, server: None, settings, entities };
        shop.start().await;
        shop
    }

    /// Starts the server on the shop's database.
    pub(crate) async fn start(&mut self) {
        let lookup = |name: &str| self.settings.get(name).cloned();
        let mut config = Config::from_lookup(lookup, Need::Serve).expect("the configuration is right");
        if let Some(zoho) = &mut config.zoho {
            zoho.frugal_wait = FRUGAL_WAIT;
        }
        let app = App::build_with(config, &self.entities).await.expect("the server starts");
        self.base = format!("http://{}", app.address());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            app.run_until_stopped(stopped).await.expect("the server ends well");
        });
        self.server = Some((stop, task));
    }

    /// Stops the server gracefully; the database and Zoho stay.
    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.server.take() {
            let _ = stop.send(());
            task.await.expect("the server ends");
        }
    }

    /// Sets a variable for the next start.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.answer(self.client.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.answer(self.client.post(format!("{}{path}", self.base)).json(&body)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let response = request.bearer_auth(TOKEN).send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Sends a signed webhook; `path` may carry a query.
    pub(crate) async fn webhook(&self, path: &str, body: &str) -> (StatusCode, Value) {
        self.signed(&format!("/api/zoho/webhooks/{path}"), body).await
    }

    /// Sends a signed body to any path.
    pub(crate) async fn signed(&self, path: &str, body: &str) -> (StatusCode, Value) {
        self.answer(self.signed_request(path, body)).await
    }

    /// Builds a request with a signed body for any path.
    pub(crate) fn signed_request(&self, path: &str, body: &str) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("x-zoho-webhook-signature", signature(path, body))
            .body(body.to_owned())
    }

    /// Sends a webhook that must be accepted, and waits until all work is done.
    pub(crate) async fn webhook_done(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.webhook(path, &body.to_string()).await;
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("accepted")), "{answer}");
        self.settled().await;
        answer
    }

    /// Runs a bulk sync to its end. The run must be completed.
    pub(crate) async fn sync(&self, entity: &str, mode: &str) -> Value {
        let run = self.sync_ended(entity, mode).await;
        assert_eq!(run["status"], "completed", "{run:#}");
        run
    }

    /// Runs a bulk sync to its end and returns the ended run, whatever its status is.
    pub(crate) async fn sync_ended(&self, entity: &str, mode: &str) -> Value {
        let (status, answer) =
            self.post("/api/zoho/bulk-sync", json!({"entity_type": entity, "mode": mode})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        self.run_ended(answer["runs"][0]["id"].as_i64().expect("an id")).await
    }

    /// Waits until a run has ended.
    pub(crate) async fn run_ended(&self, id: i64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, run) = self.get(&format!("/api/zoho/sync/runs/{id}")).await;
            if !matches!(run["status"].as_str(), Some("pending" | "running")) {
                return run;
            }
            assert!(Instant::now() < deadline, "the run does not end: {run:#}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until nothing is pending, being processed or waiting for a retry.
    pub(crate) async fn settled(&self) {
        let sql =
            "SELECT count(*)::text FROM tds_sync_queue WHERE status IN ('pending','processing','failed')";
        self.until(sql, "0").await;
    }

    /// Waits until a query returns this text.
    pub(crate) async fn until(&self, sql: &str, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.text(sql).await;
            if found.as_deref() == Some(wanted) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{sql}\nanswers {found:?}, not {wanted:?}; {}",
                self.queue().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the first column of the first row, as text.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        let row: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_optional(self.database.database().pool())
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        row.flatten()
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        let count = self.text(&format!("SELECT count(*)::text FROM {from}")).await.expect("a count");
        count.parse().expect("a number")
    }

    /// Returns rows as JSON whose numbers are PostgreSQL's own text.
    pub(crate) async fn rows(&self, from: &str, order: &str) -> Vec<Value> {
        let sql =
            format!("SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY {order}), '[]')::text FROM {from} t");
        let text = self.text(&sql).await.expect("an array");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Returns the head row of a record.
    pub(crate) async fn row(&self, table: &str, id: &str) -> Option<Value> {
        self.rows(&format!("(SELECT * FROM erp.{table} WHERE zoho_id = '{id}')"), "id").await.pop()
    }

    async fn queue(&self) -> String {
        let sql = "SELECT string_agg(entity_type || ' ' || zoho_entity_id || ' ' || status || ' ' || coalesce(error_message, ''), '; ')
                   FROM (SELECT * FROM tds_sync_queue WHERE status <> 'completed' LIMIT 5) q";
        self.text(sql).await.unwrap_or_else(|| "the queue is empty".to_owned())
    }
}

/// Returns the signature of a webhook; `path` may carry a query.
pub(crate) fn signature(path: &str, body: &str) -> String {
    let query: Vec<(String, String)> = path
        .split_once('?')
        .map(|(_, query)| query.split('&').filter_map(|pair| pair.split_once('=')))
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    webhook::sign(&SecretString::from(SECRET), &query, body.as_bytes())
}

/// Returns the path of the program, which is beside the test's own binary.
pub(crate) fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("a path");
    path.pop();
    path.pop();
    path.push("tds-server");
    assert!(path.exists(), "build it first: cargo build -p tds-server");
    path
}

/// Returns the environment of a server over this Zoho and this database, with rate limits too high to matter.
pub(crate) fn settings(zoho: &FakeZoho, database: &str, more: &[(&str, &str)]) -> HashMap<String, String> {
    let credentials = zoho.credentials();
    let mut settings: HashMap<String, String> = [
        ("DATABASE_URL", database.to_owned()),
        ("TDS_BIND", "127.0.0.1:0".to_owned()),
        ("TDS_ADMIN_TOKEN", TOKEN.to_owned()),
        ("ZOHO_WEBHOOK_SECRET", SECRET.to_owned()),
        ("ZOHO_CLIENT_ID", credentials.client_id),
        ("ZOHO_CLIENT_SECRET", credentials.client_secret),
        ("ZOHO_REFRESH_TOKEN", credentials.refresh_token),
        ("ZOHO_ORGANIZATION_ID", credentials.organization_id),
        ("ZOHO_ACCOUNTS_URL", zoho.accounts_url()),
        ("ZOHO_API_URL", zoho.api_url()),
        ("ZOHO_REQUESTS_PER_MINUTE", "10000".to_owned()),
        ("ZOHO_MAX_CONCURRENCY", "5".to_owned()),
        ("TDS_RETRY_BASE", "20ms".to_owned()),
        ("TDS_RETRY_MAX", "200ms".to_owned()),
        // The tests count calls. Those of derived values turn this on.
        ("TDS_DERIVED_WAIT", "off".to_owned()),
        // Tests change rows by hand.
        ("TDS_WRITE_GUARD", "off".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    settings
}

/// Returns the name of the document in `tds_shared_states` that has the budget of the organization.
pub(crate) fn budget_of(zoho: &FakeZoho) -> String {
    format!("budget zoho {}", zoho.credentials().organization_id)
}

/// Returns the number of list pages that were requested, without the reads of single records below the path.
pub(crate) fn list_calls(zoho: &FakeZoho, path: &str) -> u64 {
    zoho.calls_to(path) - zoho.calls_to(&format!("{path}/"))
}

/// Asserts that a row has every expected column with exactly this value.
pub(crate) fn assert_columns(row: &Value, expected: &Value) {
    for (column, value) in expected.as_object().expect("an object") {
        assert_eq!(row.get(column), Some(value), "column {column} of {row:#}");
    }
}

/// Asserts that the rows are exactly the expected ones.
pub(crate) fn assert_rows(rows: &[Value], expected: &Value) {
    let expected = expected.as_array().expect("an array");
    assert_eq!(rows.len(), expected.len(), "{rows:#?}");
    for (row, expected) in rows.iter().zip(expected) {
        assert_columns(row, expected);
    }
}
