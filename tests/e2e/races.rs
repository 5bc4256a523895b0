//! Many senders send bodies of few records while workers settle items, and webhooks overtake the pages of runs. Every
//! accepted event and every run must end, and the mirror must show the newest version. Each race also runs with a
//! server that is killed during the race.
//!
//! `TDS_RACE_BODIES`, `TDS_RACE_RECORDS`, `TDS_RACE_SENDERS`, `TDS_RACE_RUNS` and `TDS_RACE_KILLS` set the size of the
//! races.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tds_core::lock::lock;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::{FakeZoho, Module};
use tokio::time::{Instant, sleep};

use crate::{
    process::{Process, calls_of_the_dead_are_over, count, until},
    records,
};

/// The number of products: one call lists all of them on one page.
const PAGE: usize = 190;
/// The maximum number of bodies of one record that one sender sends at the same time.
const BURST: usize = 4;

fn asked(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A pseudo-random number generator (64-bit xorshift), whose numbers repeat with the seed.
struct Dice(u64);

impl Dice {
    fn new(seed: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (u64::try_from(seed).expect("small") + 1) << 20)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }

    fn millis(&mut self, most: usize) -> Duration {
        Duration::from_millis(u64::try_from(self.below(most + 1)).expect("small"))
    }
}

fn id(record: usize) -> String {
    format!("4600000003{record:08}")
}

/// Returns the record as the source had it at a version. Versions are one second apart.
fn item(record: usize, version: usize) -> Value {
    let (day, hour, minute, second) =
        (version / 86_400 + 1, version / 3_600 % 24, version / 60 % 60, version % 60);
    static TEMPLATE: OnceLock<Value> = OnceLock::new();
    let mut item = TEMPLATE.get_or_init(records::item).clone();
    item["item_id"] = json!(id(record));
    item["sku"] = json!("");
    item["name"] = json!(format!("version {version}"));
    item["last_modified_time"] = json!(format!("2025-03-{day:02}T{hour:02}:{minute:02}:{second:02}+0300"));
    item
}

/// A shop whose records change all the time while senders deliver the changes.
struct Race {
    zoho: FakeZoho,
    database: TestDatabase,
    server: Process,
    /// The newest version of each record at the source.
    newest: Mutex<Vec<usize>>,
    /// The number of bodies that were made. No two of them are equal.
    made: AtomicUsize,
    /// The number of deliveries that were answered with 200.
    accepted: AtomicUsize,
    over: AtomicUsize,
}

impl Race {
    async fn open(records: usize) -> Arc<Self> {
        let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
        for record in 0..records {
            zoho.put(Module::ITEMS, item(record, 0));
        }
        // Scheduled runs are switched off, so that they do not disturb the runs of the test.
        let quiet = [
            ("RUST_LOG", "warn"),
            ("TDS_WORKERS", "4"),
            // Zoho mints few access tokens in ten minutes: with the key, a restarted server reads the stored token.
            ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
            ("TDS_INCREMENTAL_EVERY", "off"),
            ("TDS_FULL_EVERY", "off"),
            ("TDS_STOCK_EVERY", "off"),
            ("TDS_PRICES_EVERY", "off"),
        ];
        let server = Process::start(&zoho, &database, &quiet).await;
        Arc::new(Self {
            zoho,
            database,
            server,
            newest: Mutex::new(vec![0; records]),
            made: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
        })
    }

    /// Changes the record at the source and returns its new version.
    fn change(&self, record: usize) -> usize {
        let mut newest = lock(&self.newest);
        newest[record] += 1;
        self.zoho.put(Module::ITEMS, item(record, newest[record]));
        newest[record]
    }

    fn newest(&self, record: usize) -> usize {
        lock(&self.newest)[record]
    }

    /// Returns a body with the whole record as of a version. The delivery number makes every body unique.
    fn body(&self, record: usize, version: usize) -> String {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        json!({"delivery": number, "item": item(record, version)}).to_string()
    }

    /// Returns a body of a new version (in `newer` of 100 cases), of an older version, or of the newest known version.
    fn any_body(&self, record: usize, dice: &mut Dice, newer: usize) -> String {
        let version = match dice.below(100) {
            number if number < newer => self.change(record),
            number if number < newer + 25 => self.newest(record).saturating_sub(1 + dice.below(3)),
            _ => self.newest(record),
        };
        self.body(record, version)
    }

    async fn deliver(&self, body: &str) {
        let answer = self.server.webhook_accepted("products", body).await;
        assert_eq!(answer["status"], "accepted", "{answer}");
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }

    /// Sends several bodies of one record within milliseconds.
    async fn burst(&self, dice: &mut Dice, bodies: usize) {
        let record = dice.below(lock(&self.newest).len());
        let mut sent: Vec<(Duration, String)> = Vec::with_capacity(bodies);
        for n in 0..bodies {
            // Sometimes Zoho delivers the same body once more.
            let again = sent.last().filter(|_| dice.below(100) < 5).map(|(_, body)| body.clone());
            let body = again.unwrap_or_else(|| self.any_body(record, dice, if n == 0 { 60 } else { 15 }));
            sent.push((dice.millis(10), body));
        }
        join_all(sent.iter().map(async |(pause, body)| {
            sleep(*pause).await;
            self.deliver(body).await;
        }))
        .await;
    }

    /// Kills the server each time `every` further deliveries were accepted, until the race is over; returns the number
    /// of kills.
    async fn kill_now_and_then(&self, every: usize) -> usize {
        let mut kills = 0;
        while self.over.load(Ordering::SeqCst) == 0 {
            if self.accepted.load(Ordering::SeqCst) >= (kills + 1) * every {
                self.kill_and_start_again().await;
                kills += 1;
            }
            sleep(Duration::from_millis(5)).await;
        }
        kills
    }

    async fn kill_and_start_again(&self) {
        self.server.kill().await;
        calls_of_the_dead_are_over(&self.zoho, &self.database).await;
        self.server.start_again().await;
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        rows.fetch_all(self.database.database().pool()).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn count(&self, from: &str) -> i64 {
        count(&self.database, from).await
    }

    /// Asserts that all accepted work has ended, that nothing had to be repaired, and that the mirror equals the
    /// source.
    async fn ends_well(&self) {
        until("the queue is empty", async || self.count("tds_queue_live").await == 0).await;
        let left =
            "SELECT concat_ws(' ', id, entity_id, status, outcome, 'open items', open_items, error_message)
            FROM tds_inbox_events WHERE status <> 'completed' OR open_items <> 0 LIMIT 20";
        let none: Vec<String> = Vec::new();
        assert_eq!(self.texts(left).await, none, "events that did not end");
        let waiters = "SELECT concat_ws(' ', cause, cause_id, 'waits for item', item_id) FROM tds_queue_waiters LIMIT 20";
        assert_eq!(self.texts(waiters).await, none, "waiters without an item");
        let runs = "SELECT concat_ws(' ', id, status, 'open items', open_items) FROM tds_sync_runs
            WHERE status IN ('pending', 'running') OR open_items <> 0";
        assert_eq!(self.texts(runs).await, none, "runs that did not end");
        assert_eq!(self.count("tds_sync_queue WHERE status <> 'completed' OR retry_count > 0").await, 0);
        let events = i64::try_from(self.made.load(Ordering::SeqCst)).expect("small");
        assert_eq!(self.count("tds_inbox_events").await, events, "each delivery has its one row");

        let metrics = self.server.get("/metrics").await;
        let healed: Vec<&str> = metrics.as_str().unwrap_or_default().lines().collect();
        let healed: Vec<&&str> = healed.iter().filter(|line| line.starts_with("tds_healed_total")).collect();
        assert!(healed.len() == 3 && healed.iter().all(|line| line.ends_with(" 0")), "{healed:?}");
        // The healer found nothing in the killed processes either.
        for words in ["had lost its", "a run waited for", "an event waited for", "an event waits for"] {
            assert_eq!(self.server.said(words), none, "the healer found something");
        }

        let newest = lock(&self.newest).clone();
        let shown = self.texts("SELECT zoho_id || ' ' || name FROM erp.products ORDER BY zoho_id").await;
        let wanted = newest.iter().enumerate().filter(|(_, version)| **version > 0);
        let wanted: Vec<String> =
            wanted.map(|(record, version)| format!("{} version {version}", id(record))).collect();
        let shown: Vec<String> = shown.into_iter().filter(|row| !row.ends_with(" version 0")).collect();
        assert_eq!(shown, wanted, "the mirror is not what the source has");
    }

    fn report(&self, what: &str, began: Instant) {
        let (made, accepted) = (self.made.load(Ordering::SeqCst), self.accepted.load(Ordering::SeqCst));
        #[expect(clippy::print_stderr, reason = "the figures of a long race")]
        {
            let calls = self.zoho.calls();
            eprintln!("{what}: {made} events, {accepted} accepted, {calls} calls, {:?}", began.elapsed());
        }
    }
}

/// Runs a storm of bodies of few records, and kills the server at least `kills` times during the storm.
async fn storm(kills: usize) {
    let bodies = asked("TDS_RACE_BODIES", 1_500);
    let (race, began) = (Race::open(asked("TDS_RACE_RECORDS", 20)).await, Instant::now());
    let left = Arc::new(AtomicUsize::new(bodies));
    let senders: Vec<_> = (0..asked("TDS_RACE_SENDERS", 8))
        .map(|sender| {
            let (race, left, mut dice) = (Arc::clone(&race), Arc::clone(&left), Dice::new(sender));
            tokio::spawn(async move {
                loop {
                    let size = 1 + dice.below(BURST);
                    let had = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        Some(left.saturating_sub(size))
                    });
                    match had.expect("always").min(size) {
                        0 => return,
                        bodies => race.burst(&mut dice, bodies).await,
                    }
                }
            })
        })
        .collect();
    let killing = async { if kills > 0 { race.kill_now_and_then(bodies / (kills + 1)).await } else { 0 } };
    let sending = async {
        for sender in senders {
            sender.await.expect("no sender fails");
        }
        race.over.store(1, Ordering::SeqCst);
    };
    let (killed, ()) = tokio::join!(killing, sending);
    assert_eq!(race.accepted.load(Ordering::SeqCst), bodies);
    assert!(killed >= kills, "killed {killed} times, not {kills}");
    race.ends_well().await;
    race.report(&format!("a storm with {killed} kills"), began);
    race.server.kill().await;
}

/// Runs full syncs while webhooks of the same records overtake their page.
async fn overtaken_runs(is_killed: bool) {
    let runs = asked("TDS_RACE_RUNS", 2);
    let (race, began, mut dice) = (Race::open(PAGE).await, Instant::now(), Dice::new(runs));
    race.zoho.set_latency(Duration::from_millis(40));
    for number in 0..runs {
        for record in 0..PAGE {
            race.change(record);
        }
        let senders: Vec<_> = (0..8)
            .map(|sender| {
                let (race, mut dice) = (Arc::clone(&race), Dice::new(number * 8 + sender));
                tokio::spawn(async move {
                    sleep(dice.millis(60)).await;
                    let own: Vec<usize> = (0..PAGE).filter(|record| record % 8 == sender).collect();
                    let first = dice.below(own.len());
                    for n in 0..own.len() {
                        let record = own[(first + n) % own.len()];
                        let bodies =
                            [race.any_body(record, &mut dice, 15), race.any_body(record, &mut dice, 5)];
                        join_all(bodies.iter().map(|body| race.deliver(body))).await;
                    }
                })
            })
            .collect();
        let id = race.server.bulk_sync("products", "full").await;
        if is_killed {
            sleep(dice.millis(400)).await;
            race.kill_and_start_again().await;
        }
        for sender in senders {
            sender.await.expect("no sender fails");
        }
        let run = race.server.run_ended(id).await;
        assert_eq!((&run["status"], &run["failed_items"]), (&json!("completed"), &json!(0)), "{run:#}");
        assert_eq!((&run["total_items"], &run["processed_items"]), (&json!(PAGE), &json!(PAGE)), "{run:#}");
        let unchanged = run["unchanged_items"].as_u64().expect("a number");
        assert!(unchanged <= u64::try_from(PAGE).expect("small"), "{run:#}");
    }
    race.ends_well().await;
    race.report(&format!("{runs} runs, killed: {is_killed}"), began);
    race.server.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_bodies_of_few_records_ends_every_event_with_the_newest_version() {
    storm(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_bodies_ends_every_event_though_the_server_is_killed_in_it() {
    storm(asked("TDS_RACE_KILLS", 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_whose_page_is_overtaken_by_webhooks_end() {
    overtaken_runs(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_whose_page_is_overtaken_by_webhooks_end_though_the_server_is_killed_in_them() {
    overtaken_runs(true).await;
}
