//! Tests with a network path to the database that disappears without notice, and with a server that takes no writes
//! or no more connections. In each case everything continues by itself as soon as possible.

mod support;

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Row as _};
use support::{claim, event, eventually, item, work};
use tds_core::{
    error::ErrorKind,
    hint::Hint,
    inbox::Inbox as _,
    queue::{ClaimRequest, Queue as _, QueueOperator as _, WorkerId},
};
use tds_postgres::{
    Database, DatabaseConfig, PgStore, StoreSettings,
    testkit::{Relay, TestDatabase},
};
use tokio::time::{Instant, sleep, timeout};

/// No sender of an event waits longer than this for its answer.
const AT_MOST: Duration = Duration::from_secs(12);
/// Everything must continue within this time. TDS promises a minute.
const RECOVERED: Duration = Duration::from_secs(50);

async fn open(url: &str, connections: u32) -> PgStore {
    let mut config = DatabaseConfig::new(url);
    config.max_connections = connections;
    config.application_name = "tds-under-test".to_owned();
    PgStore::new(Database::connect(&config).await.expect("connects"), StoreSettings::default())
}

async fn database_of(url: &str, connections: u32) -> Database {
    let config = DatabaseConfig { max_connections: connections, ..DatabaseConfig::new(url) };
    Database::connect(&config).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_stored_over_new_connections_when_the_old_ones_vanish_in_a_lock() {
    let test = TestDatabase::new().await;
    let (relay, url) = Relay::before(test.url()).await;
    let store = open(&url, 8).await;
    store.accept(event("1", work(1, "1"))).await.expect("stored");
    let mut other = PgConnection::connect(test.url()).await.expect("connects");
    sqlx::raw_sql("BEGIN; LOCK TABLE tds_inbox_events").execute(&mut other).await.expect("locked");
    let waiting: Vec<_> = (0..5)
        .map(|n| {
            let (store, mut event) = (store.clone(), event("1", work(2, "2")));
            event.event_id = format!("waiting-{n}");
            tokio::spawn(async move { timeout(AT_MOST, store.accept(event)).await.expect("an answer") })
        })
        .collect();
    let sql = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'tds-under-test' AND wait_event_type = 'Lock'";
    eventually(async || sqlx::query(sql).fetch_all(test.database()).await.expect("activity")).await;
    relay.freeze();
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("rolled back");
    for waiting in waiting {
        // Whether the event was stored or refused depends on the timing.
        drop(waiting.await.expect("no panic"));
    }
    for n in 0..20 {
        let accepted = store.accept(event(&format!("later-{n}"), work(1, "1"))).await;
        accepted.expect("stored over a new connection");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_get_their_items_over_new_connections_when_the_old_ones_vanish() {
    let test = TestDatabase::new().await;
    let (relay, url) = Relay::before(test.url()).await;
    let store = open(&url, 8).await;
    store.enqueue((0..20).map(|n| item(&n.to_string(), work(1, "1"))).collect()).await.expect("queued");
    relay.freeze();
    let began = Instant::now();
    let claimed = loop {
        let request = ClaimRequest::new(WorkerId("test".into()), 20, Duration::from_secs(60));
        match store.claim(&request).await {
            Ok(claimed) if !claimed.is_empty() => break claimed,
            _ => assert!(began.elapsed() < RECOVERED, "nothing was claimed"),
        }
    };
    assert_eq!(claimed.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_gets_no_answer_ends_and_its_connection_is_not_lent_again() {
    let test = TestDatabase::new().await;
    let (relay, url) = Relay::before(test.url()).await;
    let database = database_of(&url, 2).await;
    let mut tx = database.begin().await.expect("begins");
    relay.freeze();
    let silent = timeout(RECOVERED, sqlx::query("SELECT 1").execute(&mut tx)).await.expect("it ends");
    assert!(silent.is_err(), "a frozen connection answered");
    drop(tx);
    let answer = timeout(AT_MOST, sqlx::query("SELECT 1").execute(&database)).await.expect("in time");
    answer.expect("another connection answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_answered_while_the_database_is_silent_and_work_goes_on_afterwards() {
    let test = TestDatabase::new().await;
    let (relay, url) = Relay::before(test.url()).await;
    let store = open(&url, 8).await;
    store.accept(event("0", work(1, "1"))).await.expect("stored");
    relay.freeze_all();
    let waiting: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let asked = store.accept(event(&format!("silent-{n}"), work(1, "1")));
                timeout(AT_MOST, asked).await.expect("an answer")
            })
        })
        .collect();
    for waiting in waiting {
        let refused = waiting.await.expect("no panic").expect_err("nobody could store it");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
    }
    relay.cut();
    relay.thaw();
    let began = Instant::now();
    while store.accept(event("after", work(1, "1"))).await.is_err() {
        assert!(began.elapsed() < RECOVERED, "events are still refused");
    }
    timeout(AT_MOST, claim(&store, 10)).await.expect("workers continue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_during_a_statement_keeps_no_connection() {
    let test = TestDatabase::new().await;
    let database = database_of(test.url(), 2).await;
    for _ in 0..4 {
        let asked = sqlx::query("SELECT pg_sleep(20)").execute(&database);
        assert!(timeout(Duration::from_millis(100), asked).await.is_err());
    }
    let answer = timeout(Duration::from_secs(10), sqlx::query("SELECT 1").execute(&database)).await;
    answer.expect("in time").expect("answers");
    let mut tx = database.begin().await.expect("begins");
    sqlx::raw_sql("CREATE TABLE left_behind ()").execute(&mut tx).await.expect("created");
    drop(tx);
    let there = "SELECT to_regclass('left_behind') IS NOT NULL";
    let there: bool = sqlx::query_scalar(there).fetch_one(&database).await.expect("answers");
    assert!(!there, "a transaction that was dropped is rolled back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_connection_vanished_silently_is_notified_again() {
    let test = TestDatabase::new().await;
    let (relay, url) = Relay::before(test.url()).await;
    let (listening, notifying) = (open(&url, 4).await, open(test.url(), 4).await);
    let hears = async |what: &str| {
        let began = Instant::now();
        loop {
            notifying.enqueue(vec![item(what, work(1, "1"))]).await.expect("queued");
            let waited = Instant::now();
            listening.wait(Duration::from_secs(2)).await;
            if waited.elapsed() < Duration::from_millis(1_500) {
                return;
            }
            assert!(began.elapsed() < RECOVERED, "nothing is heard");
        }
    };
    // The first wait starts the listener.
    listening.wait(Duration::from_millis(500)).await;
    hears("before").await;
    relay.freeze();
    hears("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_time_without_writes_events_are_stored_at_once() {
    let test = TestDatabase::new().await;
    let store = open(test.url(), 8).await;
    store.accept(event("0", work(1, "1"))).await.expect("stored");
    let mut other = PgConnection::connect(test.url()).await.expect("connects");
    let set = "DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
      PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'tds-under-test' AND datname = current_database();
    END $$";
    sqlx::raw_sql(set).execute(&mut other).await.expect("set");
    for n in 0..10 {
        store.accept(event(&format!("refused-{n}"), work(1, "1"))).await.expect_err("read-only");
        // Reads also open connections, and these connections cannot write later.
        store.stats().await.expect("counted");
    }
    let reset = "DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$";
    sqlx::raw_sql(reset).execute(&mut other).await.expect("reset");
    for n in 0..40 {
        store.accept(event(&format!("stored-{n}"), work(1, "1"))).await.expect("stored");
    }
    store.enqueue(vec![item("1", work(1, "1"))]).await.expect("queued");
    assert_eq!(claim(&store, 100).await.len(), 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_not_healthy() {
    let test = TestDatabase::new().await;
    let mut other = PgConnection::connect(test.url()).await.expect("connects");
    let set = "DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
    sqlx::raw_sql(set).execute(&mut other).await.expect("set");
    let database = database_of(test.url(), 4).await;
    let error = database.ping(Duration::from_secs(5)).await.expect_err("read-only");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(error.hint(), Some(&Hint::AcceptWrites));
    let store = PgStore::new(database_of(test.url(), 4).await, StoreSettings::default());
    let error = store.accept(event("refused", work(1, "1"))).await.expect_err("read-only");
    assert_eq!(error.hint(), Some(&Hint::AcceptWrites), "{error}");
    let reset = "DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$";
    sqlx::raw_sql(reset).execute(&mut other).await.expect("reset");
    database.ping(Duration::from_secs(5)).await.expect("it accepts writes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_three_connections_each_open_six_at_most() {
    let test = TestDatabase::new().await;
    let stores = [open(test.url(), 3).await, open(test.url(), 3).await];
    let mut tasks = Vec::new();
    for (index, store) in stores.iter().enumerate() {
        for n in 0..40 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                store.accept(event(&format!("{index}-{n}"), work(1, "1"))).await.expect("stored");
                store.wait(Duration::from_millis(10)).await;
                store.stats().await.expect("counted");
                claim(&store, 1).await;
            }));
        }
    }
    let mut most = 0;
    let sql = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'tds-under-test'
        AND datname = current_database()";
    while tasks.iter().any(|task| !task.is_finished()) {
        let row = sqlx::query(sql).fetch_one(test.database()).await.expect("counted");
        most = most.max(row.get::<i64, _>("n"));
        sleep(Duration::from_millis(10)).await;
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    assert!((1..=6).contains(&most), "{most} connections were open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_on_a_server_with_few_connections_waits_for_one_of_its_own() {
    let test = TestDatabase::new().await;
    let name = format!("tds_few_{}", std::process::id());
    let mut admin = PgConnection::connect(test.url()).await.expect("connects");
    let grant = format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'few' CONNECTION LIMIT 4;
         GRANT ALL ON ALL TABLES IN SCHEMA public, erp TO {name};
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public, erp TO {name}; GRANT USAGE ON SCHEMA erp TO {name}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut admin).await.expect("a role");
    // The objects of TDS are closed. Each migration opens them to the roles that have grants.
    test.database().migrate().await.expect("migrates");
    let (_, place) = test.url().rsplit_once('@').expect("a URL");
    let url = format!("postgres://{name}:few@{place}");
    // Two processes may open twenty connections each.
    let stores = [open(&url, 20).await, open(&url, 20).await];
    let mut tasks = Vec::new();
    for n in 0..100 {
        let store = stores[n % 2].clone();
        tasks.push(tokio::spawn(
            async move { store.accept(event(&n.to_string(), work(1, "1"))).await.map(drop) },
        ));
    }
    for n in 0..100 {
        let store = stores[n % 2].clone();
        tasks.push(tokio::spawn(async move { store.stats().await.map(drop) }));
    }
    for task in tasks {
        task.await.expect("no panic").expect("it waited for a connection");
    }
    for store in stores {
        store.shutdown().await;
    }
    let drop_role = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}';
         DROP OWNED BY {name}; DROP ROLE {name}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop_role)).execute(&mut admin).await.expect("dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_says_why_the_database_does_not_answer() {
    let within = Duration::from_millis(1_500);
    let test = TestDatabase::new().await;
    let (relay, url) = Relay::before(test.url()).await;
    let database = database_of(&url, 2).await;
    database.ping(within).await.expect("it answers");
    // Tasks that try to connect hold all places.
    relay.refuse(true);
    relay.cut();
    let trying: Vec<_> = (0..4)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { drop(sqlx::raw_sql("SELECT 1").execute(&database).await) })
        })
        .collect();
    sleep(Duration::from_millis(300)).await;
    let error = database.ping(within).await.expect_err("refused");
    assert!(error.to_string().contains("reset") || error.to_string().contains("refused"), "{error}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    relay.refuse(false);
    for trying in trying {
        trying.await.expect("no panic");
    }
    database.ping(Duration::from_secs(5)).await.expect("it answers again");
    relay.freeze_all();
    let error = database.ping(within).await.expect_err("silent");
    assert!(error.to_string().contains("did not answer within"), "{error}");
}
