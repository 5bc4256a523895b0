//! Tests that a process hears at once of the runs of other processes.

use std::time::Duration;

use tds_core::{
    queue::{Queue as _, WorkerId},
    runs::{NewRun, RunType, SyncRun as _, SyncRunOperator as _},
};
use tds_postgres::{PgStore, ReportedState, ServerReport, StoreSettings};
use tokio::time::timeout;

use crate::support::{PRODUCTS, item, store, text, work};

/// A wait that nothing but a signal ends, and the time within which a signal arrives on a busy machine.
const WAIT: Duration = Duration::from_secs(3_600);
const LONG: Duration = Duration::from_secs(30);
/// The time for which no signal is expected.
const SHORT: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_another_process_creates_or_gives_back_ends_the_wait_for_runs() {
    let (database, store) = store().await;
    let other = PgStore::new(database.database().clone(), StoreSettings::default());
    let heard = async || timeout(LONG, store.wait_for_run(WAIT)).await.is_ok();
    // The first wait starts the listener, which wakes the waiting workers once it hears.
    assert!(heard().await);
    let listening = "SELECT count(*)::text FROM pg_stat_activity
      WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'";
    while text(&database, listening).await != "1" {}
    while timeout(SHORT, store.wait_for_run(WAIT)).await.is_ok() {}

    other.create(NewRun::new(PRODUCTS, RunType::Full, "test", "test")).await.expect("created");
    assert!(heard().await, "a new run");
    let worker = WorkerId("test".into());
    let lease = other.claim_run(&worker, LONG, None).await.expect("claimed").expect("a run");
    other.renew_run(lease.run.id, lease.token, LONG, None).await.expect("renewed");
    assert!(
        timeout(SHORT, store.wait_for_run(WAIT)).await.is_err(),
        "a run that goes on concerns nobody else"
    );
    other.renew_run(lease.run.id, lease.token, Duration::ZERO, None).await.expect("given back");
    assert!(heard().await, "a run that was given back");

    while timeout(SHORT, store.wait(WAIT)).await.is_ok() {}
    other.enqueue(vec![item("1", work(1, "1"))]).await.expect("queued");
    timeout(LONG, store.wait(WAIT)).await.expect("items are heard of as well");
    assert!(timeout(SHORT, store.wait_for_run(WAIT)).await.is_err(), "items are no runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_server_wakes_it_for_a_free_run_and_for_local_changes() {
    let (database, store) = store().await;
    let other = PgStore::new(database.database().clone(), StoreSettings::default());
    let report = async || {
        store
            .report_server(&ServerReport {
                name: "one".to_owned(),
                works: true,
                credentials: "test".to_owned(),
                zoho_state: ReportedState::Healthy,
                zoho_detail: String::new(),
            })
            .await
            .expect("stored")
    };
    let free_run = async || timeout(SHORT, store.wait_for_run(WAIT)).await.is_ok();
    let work = async || timeout(SHORT, store.wait(WAIT)).await.is_ok();
    other.create(NewRun::new(PRODUCTS, RunType::Full, "test", "test")).await.expect("created");
    let worker = WorkerId("test".into());
    let lease = other.claim_run(&worker, LONG, None).await.expect("claimed").expect("a run");
    // The store hears of the new run, or its listener begins to hear.
    while free_run().await {}
    while work().await {}
    assert!(!report().await);
    assert!(!free_run().await, "a run whose lease lasts");
    assert!(!work().await, "nothing is due");

    // The process of the run dies, and a change is captured whose notification is lost.
    let end = format!(
        "UPDATE tds_sync_runs SET lease_expires_at = now() - interval '1 s' WHERE id = {}; INSERT INTO tds_outbox \
         (entity_type, local_id, operation) VALUES ('products', 1, 'upsert')",
        lease.run.id.0
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(end)).execute(database.database()).await.expect("changed");
    assert!(!free_run().await && !work().await, "nobody said so");
    report().await;
    assert!(free_run().await, "the run is free");
    assert!(work().await, "a change waits");
}
