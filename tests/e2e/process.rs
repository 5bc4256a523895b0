//! The real program as a separate process, which a test can kill with SIGKILL and start again.

use std::{
    collections::HashMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tds_core::lock::lock;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::FakeZoho;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

use crate::shop::{TOKEN, budget_of, program, settings, signature};

/// The longest time that a step may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A server process. The simulated Zoho and the database outlive it.
pub(crate) struct Process {
    settings: HashMap<String, String>,
    client: Client,
    /// The base URL of the present process.
    base: Mutex<String>,
    child: tokio::sync::Mutex<Option<Child>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a server with further environment variables, and waits until it is ready.
    pub(crate) async fn start(zoho: &FakeZoho, database: &TestDatabase, more: &[(&str, &str)]) -> Self {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let mut settings = settings(zoho, database.url(), &[("TDS_LEASE", "3s")]);
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let process = Self {
            settings,
            client,
            base: Mutex::default(),
            child: tokio::sync::Mutex::default(),
            log: Arc::default(),
        };
        process.start_again().await;
        process
    }

    /// Starts another process in the place of a killed one, and waits until it is ready.
    pub(crate) async fn start_again(&self) {
        let bind = format!("127.0.0.1:{}", free_port().await);
        let mut command = Command::new(program());
        command.arg("serve").env_clear().envs(&self.settings).env("TDS_BIND", &bind);
        command.current_dir(std::env::temp_dir()).kill_on_drop(true).stdin(Stdio::null());
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (stderr, log) = (child.stderr.take().expect("stderr"), Arc::clone(&self.log));
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                #[expect(clippy::print_stderr, reason = "shown if the test fails")]
                {
                    eprintln!("server: {line}");
                }
                lock(&log).push(line);
            }
        });
        *self.child.lock().await = Some(child);
        *lock(&self.base) = format!("http://{bind}");
        until("it is ready", async || {
            matches!(self.ask(self.request("GET", "/readyz")).await, Some((StatusCode::OK, _)))
        })
        .await;
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub(crate) async fn kill(&self) {
        let child = self.child.lock().await.take();
        child.expect("it runs").kill().await.expect("SIGKILL");
    }

    /// Returns the log lines of this process and its predecessors that contain the text.
    pub(crate) fn said(&self, text: &str) -> Vec<String> {
        let log = lock(&self.log);
        log.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Runs the program with these arguments and the settings of the server. Returns its exit status and what it wrote to
    /// stdout.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (i32, String) {
        let (status, stdout, _) = self.told(arguments).await;
        (status, stdout)
    }

    /// Runs the program like [`Self::command`]. Returns its exit status, and what it wrote to stdout and to stderr.
    pub(crate) async fn told(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().envs(&self.settings).current_dir(std::env::temp_dir());
        let output =
            command.kill_on_drop(true).stdin(Stdio::null()).output().await.expect("the program runs");
        let status = output.status.code().expect("it was not killed");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status, text(output.stdout), text(output.stderr))
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let base = lock(&self.base).clone();
        let method = method.parse().expect("a method");
        self.client.request(method, format!("{base}{path}")).bearer_auth(TOKEN)
    }

    /// Sends the request; returns `None` if no process answers, or if the answer is cut off.
    async fn ask(&self, request: RequestBuilder) -> Option<(StatusCode, Value)> {
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Reads from the operators' API; returns `Null` while no process answers.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(self.request("GET", path)).await.map_or(Value::Null, |(_, answer)| answer)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(self.request("POST", path).json(&body)).await.expect("an answer")
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(self.request("PUT", path).json(&body)).await.expect("an answer")
    }

    /// Starts a bulk sync and returns the id of the run.
    pub(crate) async fn bulk_sync(&self, entity: &str, mode: &str) -> i64 {
        let (status, answer) =
            self.post("/api/zoho/bulk-sync", json!({"entity_type": entity, "mode": mode})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["runs"][0]["id"].as_i64().expect("an id")
    }

    /// Waits until a run has ended, in whatever process it is executed.
    pub(crate) async fn run_ended(&self, id: i64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let run = self.get(&format!("/api/zoho/sync/runs/{id}")).await;
            if !matches!(run["status"].as_str(), None | Some("pending" | "running")) {
                return run;
            }
            assert!(Instant::now() < deadline, "the run does not end: {run:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends a signed webhook; `path` may carry a query. Returns the answer, or `None` if no process answers.
    pub(crate) async fn webhook(&self, path: &str, body: &str) -> Option<(StatusCode, Value)> {
        let signature = signature(path, body);
        let request = self
            .request("POST", &format!("/api/zoho/webhooks/{path}"))
            .header("content-type", "application/json")
            .header("x-zoho-webhook-signature", signature)
            .body(body.to_owned());
        self.ask(request).await
    }

    /// Sends a webhook until it is answered with 200, as Zoho does, but at shorter intervals.
    pub(crate) async fn webhook_accepted(&self, path: &str, body: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.webhook(path, body).await;
            if let Some((StatusCode::OK, answer)) = answer {
                return answer;
            }
            assert!(Instant::now() < deadline, "a webhook is not accepted: {answer:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

pub(crate) async fn count(database: &TestDatabase, from: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
    sqlx::query_scalar(sql).fetch_one(database.database().pool()).await.expect("a count")
}

pub(crate) async fn until_count(database: &TestDatabase, from: &str, wanted: i64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = count(database, from).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{from}: {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Acts as if more than a minute had passed since a process was killed. For that minute the permits of its calls in
/// flight stay taken, because Zoho may still work on those calls. Call this only while no server runs.
pub(crate) async fn calls_of_the_dead_are_over(zoho: &FakeZoho, database: &TestDatabase) {
    let forgotten = sqlx::query("DELETE FROM tds_shared_states WHERE name = $1").bind(budget_of(zoho));
    forgotten.execute(database.database().pool()).await.expect("forgotten");
    // A process that was killed before its first call has counted none.
    let left = count(database, "tds_shared_states WHERE name LIKE 'budget%'").await;
    assert_eq!(left, 0, "the calls of the dead are counted under another name");
}
