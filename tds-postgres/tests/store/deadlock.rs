//! Tests that the server detects deadlocks and the store repeats the transaction.

use std::time::Duration;

use crate::support::{claim, eventually, item, text, work};
use sqlx::Row as _;
use tds_core::queue::Queue as _;
use tds_postgres::{Database, DatabaseConfig, PgStore, StoreSettings, testkit::TestDatabase};

const LOCK: &str = "SELECT id FROM tds_queue_live WHERE zoho_entity_id = $1 FOR UPDATE";
const BLOCKED: &str = "SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%tds_queue_live%'";

const DEADLOCKS: &str =
    "SELECT COALESCE(sum(deadlocks), 0)::text FROM pg_stat_database WHERE datname = current_database()";

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_with_another_session_is_repeated_until_it_succeeds() {
    let database = TestDatabase::new().await;
    // The server looks for deadlocks before the store's wait for a lock ends.
    let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 100', current_database()); END $$";
    sqlx::raw_sql(sql).execute(database.database().pool()).await.expect("set");
    let own = Database::connect(&DatabaseConfig::new(database.url())).await.expect("connects");
    let store = PgStore::new(own, StoreSettings::default());
    let version = |n: i64| vec![item("1", work(n, &n.to_string())), item("2", work(n, &n.to_string()))];
    store.enqueue(version(1)).await.expect("queued");

    let mut n = 1;
    while text(&database, DEADLOCKS).await == "0" {
        n += 1;
        assert!(n < 40, "there was no deadlock");
        // Another session locks the second record first. Its long `deadlock_timeout` makes sure that the server never
        // cancels this session.
        let mut other = database.database().pool().begin().await.expect("begins");
        sqlx::query("SET LOCAL deadlock_timeout = '60s'").execute(&mut *other).await.expect("set");
        sqlx::query(LOCK).bind("2").fetch_one(&mut *other).await.expect("locked");
        let writer = tokio::spawn({
            let (store, items) = (store.clone(), version(n));
            async move { store.enqueue(items).await }
        });
        eventually(async || sqlx::query(BLOCKED).fetch_all(database.database()).await.expect("activity"))
            .await;
        // Each session holds the row that the other one waits for, unless the store gave up waiting just before.
        sqlx::query(LOCK).bind("1").fetch_one(&mut *other).await.expect("locked: the store gave in");
        assert!(!writer.is_finished(), "it tries again, behind the locks of the other session");
        other.commit().await.expect("commits");
        let written = tokio::time::timeout(Duration::from_secs(20), writer).await.expect("in time");
        written.expect("no panic").expect("the deadlock is nobody's error");
    }
    let rows = sqlx::query("SELECT payload FROM tds_queue_live").fetch_all(database.database()).await;
    let payloads: Vec<String> = rows.expect("rows").iter().map(|row| row.get(0)).collect();
    assert_eq!(payloads, [n.to_string(), n.to_string()]);
    let generation = text(&database, "SELECT max(generation)::text FROM tds_queue_live").await;
    assert_eq!(generation, n.to_string(), "each was written once");
    assert_eq!(claim(&store, 10).await.len(), 2);
}
