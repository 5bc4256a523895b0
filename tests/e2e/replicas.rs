//! Two servers on one database behind a proxy, under a load of webhooks that never stops: what an upgrade without a pause
//! looks like from outside.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tds_core::lock::lock;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Module};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    process::{PATIENCE, count, until, until_count},
    records,
    shop::{TOKEN, signature},
};

/// The pause of a sender between two webhooks.
const PAUSE: Duration = Duration::from_millis(10);
/// The number of senders.
const SENDERS: usize = 6;

/// A server at a fixed address, as the configuration of a proxy names it.
pub(crate) struct Replica {
    address: SocketAddr,
    settings: HashMap<String, String>,
    child: tokio::sync::Mutex<Option<Child>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Replica {
    pub(crate) fn new(mut settings: HashMap<String, String>) -> Self {
        let address = fixed_address();
        settings.insert("TDS_BIND".to_owned(), address.to_string());
        Self { address, settings, child: tokio::sync::Mutex::default(), log: Arc::default() }
    }

    /// Starts this program at the address, and waits until it is ready.
    pub(crate) async fn start(&self, program: &Path) {
        let mut child = self.command(program, &["serve"]).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let log = Arc::clone(&self.log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                lock(&log).push(line);
            }
        });
        *self.child.lock().await = Some(child);
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
        let url = format!("http://{}/readyz", self.address);
        until("a server is ready", async || {
            let ended = self.child.lock().await.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "{ended:?}: {:#?}", lock(&self.log));
            let answer = client.get(&url).timeout(PATIENCE).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
        .await;
    }

    /// Sends SIGTERM and waits for the end, which has to be a success within the promised time.
    pub(crate) async fn stop(&self) {
        let mut child = self.child.lock().await.take().expect("it runs");
        let id = child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill");
        assert!(sent.success());
        let ended = timeout(Duration::from_secs(10), child.wait()).await.expect("it ends in time");
        let status = ended.expect("a status");
        assert!(status.success(), "{status}: {:#?}", lock(&self.log));
    }

    /// Runs a command of this program with the settings of the server, and returns its output. It has to succeed.
    pub(crate) async fn done(&self, program: &Path, arguments: &[&str]) -> String {
        let output = self.command(program, arguments).stdout(Stdio::piped()).output().await.expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{out}\n{err}", output.status);
        out
    }

    /// Starts a bulk sync by the API of the server.
    pub(crate) async fn sync(&self, body: &Value) {
        let client = Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://{}/api/zoho/bulk-sync", self.address);
        let answer = client.post(url).bearer_auth(TOKEN).json(body).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{:?}", answer.text().await);
    }

    /// Returns the errors in the log of this server and its predecessors at the address.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.said("ERROR")
    }

    /// Returns the lines of the log that contain the text.
    pub(crate) fn said(&self, text: &str) -> Vec<String> {
        lock(&self.log).iter().filter(|line| line.contains(text)).cloned().collect()
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(&self.settings).current_dir(std::env::temp_dir());
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// A proxy, as nginx with `proxy_next_upstream error`: it takes the servers in turn, and if a connection cannot be made,
/// it takes the next one. Whatever else goes wrong is refused to the sender.
pub(crate) struct Proxy {
    servers: [SocketAddr; 2],
    next: AtomicUsize,
    /// The webhooks that each server accepted.
    accepted: [AtomicU64; 2],
    /// The webhooks that went to the next server.
    passed_on: AtomicU64,
    /// The ids of the events that were accepted.
    events: Mutex<BTreeSet<String>>,
    refused: Mutex<Vec<String>>,
    /// As with `non_idempotent`: a webhook whose connection broke goes to the next server, too.
    repeats: bool,
}

impl Proxy {
    async fn send(&self, client: &Client, path: &str, body: &str) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for place in [first % 2, (first + 1) % 2] {
            let url = format!("http://{}/api/zoho/webhooks/{path}", self.servers[place]);
            let request = client.post(url).header("content-type", "application/json");
            let sent =
                request.header("x-zoho-webhook-signature", signature(path, body)).body(body.to_owned());
            let refusal = match sent.send().await {
                Ok(answer) if answer.status() == StatusCode::OK => match answer.json::<Value>().await {
                    Ok(receipt) => {
                        let id = receipt["event_id"].as_str().expect("an id").to_owned();
                        lock(&self.events).insert(id);
                        self.accepted[place].fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    Err(error) => format!("the receipt is cut off: {error:?}"),
                },
                Ok(answer) => format!("{}: {:?}", answer.status(), answer.text().await),
                Err(error) if error.is_connect() || self.repeats => {
                    self.passed_on.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Err(error) => format!("{error:?}"),
            };
            lock(&self.refused).push(refusal);
            return;
        }
        lock(&self.refused).push("no server accepts connections".to_owned());
    }

    fn accepted(&self, place: usize) -> u64 {
        self.accepted[place].load(Ordering::Relaxed)
    }
}

/// Senders of webhooks: new items, and changes of invoices that exist. Every second sender keeps its connections, as a
/// proxy with `keepalive` does, and the others make a connection for each request.
pub(crate) struct Load {
    pub(crate) proxy: Arc<Proxy>,
    stop: Arc<AtomicBool>,
    /// The number of items that were made.
    items: Arc<AtomicUsize>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(
        zoho: &FakeZoho,
        replicas: &[Replica; 2],
        invoices: &[String],
        repeats: bool,
    ) -> Self {
        let proxy = Arc::new(Proxy {
            servers: [replicas[0].address, replicas[1].address],
            next: AtomicUsize::new(0),
            accepted: Default::default(),
            passed_on: AtomicU64::new(0),
            events: Mutex::default(),
            refused: Mutex::default(),
            repeats,
        });
        let mut load = Self { proxy, stop: Arc::default(), items: Arc::default(), senders: Vec::new() };
        for sender in 0..SENDERS {
            let kept = if sender % 2 == 0 { 0 } else { 2 };
            let client = Client::builder().no_proxy().pool_max_idle_per_host(kept).timeout(PATIENCE);
            let client = client.build().expect("a client");
            let (zoho, invoices) = (zoho.clone(), invoices.to_vec());
            let (proxy, stop, items) =
                (Arc::clone(&load.proxy), Arc::clone(&load.stop), Arc::clone(&load.items));
            load.senders.push(tokio::spawn(async move {
                let mut round = sender;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let (path, body) = if round.is_multiple_of(3) && !invoices.is_empty() {
                        let id = &invoices[round % invoices.len()];
                        zoho.update(Module::INVOICES, id, json!({"notes": format!("{sender} {round}")}));
                        ("invoices", zoho.webhook_body(Module::INVOICES, id))
                    } else {
                        let item = item(items.fetch_add(1, Ordering::Relaxed));
                        zoho.put(Module::ITEMS, item.clone());
                        ("products", json!({ "item": item }).to_string())
                    };
                    proxy.send(&client, path, &body).await;
                    tokio::time::sleep(PAUSE).await;
                }
            }));
        }
        load
    }

    /// Waits until each of these servers has accepted so many more webhooks.
    pub(crate) async fn accepted_by(&self, places: &[usize], more: u64) {
        let before: Vec<u64> = places.iter().map(|place| self.proxy.accepted(*place)).collect();
        until("the servers accept webhooks", async || {
            places.iter().zip(&before).all(|(place, before)| self.proxy.accepted(*place) >= before + more)
        })
        .await;
    }

    /// Ends the load. Returns the ids of the events that were accepted and the number of items that were made, after it
    /// asserted that no webhook was refused.
    pub(crate) async fn end(self) -> (Vec<String>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("no panic");
        }
        let refused = lock(&self.proxy.refused).clone();
        assert!(refused.is_empty(), "{} webhooks were refused: {refused:#?}", refused.len());
        let accepted = self.proxy.accepted(0) + self.proxy.accepted(1);
        let passed_on = self.proxy.passed_on.load(Ordering::Relaxed);
        #[expect(clippy::print_stdout, reason = "the figures of the test")]
        {
            println!("{accepted} webhooks accepted, {passed_on} passed on to the other server, 0 refused");
        }
        let events = lock(&self.proxy.events).iter().cloned().collect();
        (events, self.items.load(Ordering::Relaxed))
    }
}

/// Waits until these events have ended, and asserts that the inbox has them and no other ones.
pub(crate) async fn all_ended(database: &TestDatabase, events: &[String]) {
    let number = i64::try_from(events.len()).expect("a number");
    until_count(database, "tds_inbox_events WHERE status IN ('pending', 'processing')", 0).await;
    assert_eq!(count(database, "tds_inbox_events").await, number);
    let ids = events.join("', '");
    let stored = format!("tds_inbox_events WHERE status = 'completed' AND event_id IN ('{ids}')");
    assert_eq!(count(database, &stored).await, number);
}

/// Returns an address whose port the system gives to no connection by itself, so that the port stays free while no server
/// has it.
fn fixed_address() -> SocketAddr {
    // Two servers of one test take different ports, because the first one may not listen yet.
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let first = 20_000 + std::process::id() % 10_000;
    let is_free = |address: &SocketAddr| std::net::TcpListener::bind(address).is_ok();
    let ports = first..first + 2_000;
    let address = ports.skip(TAKEN.fetch_add(100, Ordering::Relaxed)).find_map(|port| {
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?));
        is_free(&address).then_some(address)
    });
    address.expect("a port")
}

/// Returns an item whose stock nobody counts.
fn item(n: usize) -> Value {
    let mut item = records::item();
    item["item_id"] = json!(format!("4600000002{n:08}"));
    item["sku"] = json!(format!("SKU-{n}"));
    item
}
