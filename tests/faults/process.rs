//! A process of the real program that a test can kill, stop and start again.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tds_zoho::testkit::webhook::{self, Delivery};
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

pub(crate) const TOKEN: &str = "an-operator-token-of-some-length";
pub(crate) const SECRET: &str = "TdsSecret0123456";
/// The longest time that a start may take while other parts are disturbed.
const START: Duration = Duration::from_secs(60);
/// The longest time that a process may take to end after a request.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// Returns the path of the program, which is beside the test's own binary.
pub(crate) fn program() -> PathBuf {
    let mut path = std::env::current_exe().expect("a path");
    path.pop();
    path.pop();
    path.push("tds-server");
    assert!(path.exists(), "build it first: cargo build -p tds-server");
    path
}

pub(crate) struct Process {
    pub(crate) name: &'static str,
    base: String,
    settings: Mutex<HashMap<String, String>>,
    home: PathBuf,
    child: Mutex<Option<Child>>,
    /// True once the process has answered since its last start. From then on it must not end by itself.
    ready: AtomicBool,
    client: Client,
}

impl Process {
    pub(crate) fn new(name: &'static str, mut settings: HashMap<String, String>, home: &Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        settings.insert("TDS_BIND".to_owned(), address.clone());
        // The client keeps no idle connections: a connection that outlives its server process would be an error of the
        // client.
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(60));
        Self {
            name,
            base: format!("http://{address}"),
            settings: Mutex::new(settings),
            home: home.to_owned(),
            child: Mutex::new(None),
            ready: AtomicBool::new(false),
            client: client.build().expect("a client"),
        }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sets a variable for the next start.
    pub(crate) async fn set(&self, name: &str, value: &str) {
        self.settings.lock().await.insert(name.to_owned(), value.to_owned());
    }

    /// Builds a command with the environment of this process.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().envs(&*self.settings.lock().await);
        command.current_dir(&self.home).kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Starts the process. The caller makes sure that none is running.
    async fn spawn(&self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut command = self.command(&["serve"]).await;
        let child = command.stdout(Stdio::from(log)).stderr(Stdio::from(errors)).spawn().expect("it starts");
        std::fs::write(self.note(&child), "").expect("a note");
        self.ready.store(false, Ordering::SeqCst);
        *self.child.lock().await = Some(child);
    }

    fn note(&self, child: &Child) -> PathBuf {
        self.home.join("processes").join(child.id().unwrap_or_default().to_string())
    }

    fn log(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }

    /// Returns the last lines of the process's log.
    pub(crate) fn end_of_log(&self, lines: usize) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Starts the process if it does not run, and waits until it is ready. Like a supervisor, this repeats a start
    /// that fails because the database is away. Returns an error if the process ended by itself after it had been
    /// ready.
    pub(crate) async fn ensure(&self) -> Result<(), String> {
        let deadline = Instant::now() + START;
        let mut found = Ok(());
        loop {
            let ended = self.ended().await;
            if let Some(status) = ended
                && self.ready.load(Ordering::SeqCst)
            {
                found = Err(format!("process {} ended by itself: {status}", self.name));
            }
            if ended.is_some() || self.child.lock().await.is_none() {
                self.spawn().await;
            }
            if self.is_ready().await {
                self.ready.store(true, Ordering::SeqCst);
                return found;
            }
            if Instant::now() > deadline {
                return Err(format!("process {} is not ready within {START:?}", self.name));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().await;
        let status = child.as_mut()?.try_wait().expect("a status")?;
        self.forget(&mut child);
        Some(status)
    }

    fn forget(&self, child: &mut Option<Child>) {
        // The child no longer has its id after it was waited for, so all notes are checked, including those of the
        // other process. A note that stays too long does no harm, except to an unrelated process that happens to get
        // the same id.
        *child = None;
        for note in std::fs::read_dir(self.home.join("processes")).into_iter().flatten().flatten() {
            let id = note.file_name().to_string_lossy().into_owned();
            if !Path::new("/proc").join(&id).exists() && Path::new("/proc/self").exists() {
                let _ = std::fs::remove_file(note.path());
            }
        }
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let asked = self.client.get(format!("{}/readyz", self.base)).timeout(Duration::from_secs(5));
        asked.send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub(crate) async fn kill(&self) {
        let mut child = self.child.lock().await;
        if let Some(running) = child.as_mut() {
            running.kill().await.expect("SIGKILL");
            self.forget(&mut child);
        }
    }

    /// Sends a signal to the process if it is running.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.lock().await.as_ref().and_then(Child::id);
        if let Some(id) = id {
            let sent = Command::new("kill").args([format!("-{name}"), id.to_string()]).status().await;
            assert!(sent.expect("kill").success(), "the process {id} is there until it is waited for");
        }
    }

    /// Sends SIGTERM and waits for the end; returns an error if the process does not end, or not with success.
    pub(crate) async fn terminate(&self) -> Result<(), String> {
        self.signal("TERM").await;
        let mut child = self.child.lock().await;
        let Some(running) = child.as_mut() else { return Err(format!("process {} does not run", self.name)) };
        let ended = timeout(GRACE, running.wait()).await;
        match ended {
            Ok(status) => {
                self.forget(&mut child);
                let status = status.expect("a status");
                if status.success() {
                    Ok(())
                } else {
                    Err(format!("process {} ended with {status}", self.name))
                }
            }
            Err(_) => Err(format!("process {} does not end within {GRACE:?} of SIGTERM", self.name)),
        }
    }

    /// Reads from the operators' API.
    pub(crate) async fn get(&self, path: &str) -> Result<(StatusCode, Value), reqwest::Error> {
        Self::answer(self.client.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<(StatusCode, Value), reqwest::Error> {
        Self::answer(self.client.post(format!("{}{path}", self.base)).json(&body)).await
    }

    /// Sends a signed webhook with a JSON body.
    pub(crate) async fn webhook(&self, delivery: &Delivery) -> Result<(StatusCode, Value), reqwest::Error> {
        let Delivery { entity_path, event, body } = delivery;
        let pairs: Vec<(&str, &str)> = if event.is_empty() { vec![] } else { vec![("event", event)] };
        let request = self
            .client
            .post(format!("{}/api/zoho/webhooks/{entity_path}", self.base))
            .query(&pairs)
            .header(webhook::SIGNATURE_HEADER, webhook::signature_hex(SECRET, &pairs, body))
            .header("content-type", "application/json")
            .body(body.clone());
        Self::answer(request).await
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<(StatusCode, Value), reqwest::Error> {
        let response = request.bearer_auth(TOKEN).send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}
