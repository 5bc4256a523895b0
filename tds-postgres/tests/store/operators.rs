//! Tests of operators' statements that run at the same time as workers, deliveries and each other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::support::{
    ADVISORY_LOCK_WAITS, ROW_LOCK_WAITS, claim, complete, event, eventually, store, text, work,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tds_core::{
    inbox::{Inbox as _, NewEvent},
    queue::{Claimed, ItemFilter, Lease, Outcome, Queue as _, QueueOperator as _, Settle, Settlement},
};
use tds_postgres::{PgStore, testkit::TestDatabase};

const CLEAN_UP: &str = "DELETE FROM tds_sync_queue WHERE status IN ('completed', 'dead_letter') AND queued_at < NOW() - INTERVAL '30 days'";
const RETRY: &str = "UPDATE tds_sync_queue SET status = 'pending' WHERE status IN ('failed', 'dead_letter')";
const OLD: &str = "UPDATE tds_queue_live SET queued_at = queued_at - interval '31 days'";

async fn session(database: &TestDatabase) -> PgConnection {
    PgConnection::connect(database.url()).await.expect("a session")
}

async fn execute(session: &mut PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(session).await.map(|done| done.rows_affected())
}

fn end(item: &Claimed, settle: Settle) -> Settlement {
    Settlement { lease: Lease { id: item.id, token: item.token }, generation: item.generation, settle }
}

/// Creates two dead letters that are old enough for the handbook's statement.
async fn two_dead_letters() -> (TestDatabase, PgStore, PgConnection) {
    let (database, store) = store().await;
    for id in ["1", "2"] {
        store.accept(event(id, work(1, "{}"))).await.expect("accepted");
    }
    let dead = |item: &Claimed| end(item, Settle::DeadLetter { error: "no".to_owned() });
    let ends = claim(&store, 2).await.iter().map(dead).collect();
    store.settle(ends).await.expect("settled");
    let mut session = session(&database).await;
    execute(&mut session, OLD).await.expect("old");
    (database, store, session)
}

/// Stops the statement at the first item while `done` does something with the second item.
async fn meanwhile<F: Future<Output = ()>>(
    database: &TestDatabase,
    holder: &mut PgConnection,
    sql: &'static str,
    done: impl FnOnce() -> F,
) -> u64 {
    execute(holder, "BEGIN; SELECT FROM tds_queue_live WHERE zoho_entity_id = '1' FOR UPDATE")
        .await
        .expect("held");
    let url = database.url().to_owned();
    let statement = tokio::spawn(async move {
        let mut operator = PgConnection::connect(&url).await.expect("a session");
        execute(&mut operator, sql).await
    });
    let waits = ROW_LOCK_WAITS;
    eventually(async || sqlx::query(waits).fetch_all(database.database().pool()).await.expect("locks")).await;
    done().await;
    execute(holder, "COMMIT").await.expect("let go");
    statement.await.expect("no panic").expect("the statement succeeds")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_lives_again_since_the_statement_looked_is_not_deleted() {
    for is_claimed in [false, true] {
        let (database, store, mut holder) = two_dead_letters().await;
        let second = "SELECT id FROM tds_queue_live WHERE zoho_entity_id = '2'";
        let id: i64 = sqlx::query_scalar(second).fetch_one(database.database().pool()).await.expect("there");
        let filter = ItemFilter { ids: Some(vec![tds_core::queue::ItemId(id)]), ..ItemFilter::default() };
        let deleted = meanwhile(&database, &mut holder, CLEAN_UP, async || {
            assert_eq!(store.retry(&filter).await.expect("retried"), 1);
            if is_claimed {
                assert_eq!(claim(&store, 1).await.len(), 1);
            }
        })
        .await;
        assert_eq!(deleted, 1, "only what the statement was about");
        let left =
            text(&database, "SELECT string_agg(zoho_entity_id || ' ' || status, ', ') FROM tds_queue_live")
                .await;
        assert_eq!(left, if is_claimed { "2 processing" } else { "2 pending" });
        let events = "SELECT string_agg(status || ' ' || COALESCE(outcome, '-'), ', ' ORDER BY id) FROM tds_inbox_events";
        assert_eq!(text(&database, events).await, "completed discarded, pending -");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_was_retried_since_the_statement_looked_is_not_retried_again() {
    let (database, store, mut holder) = two_dead_letters().await;
    let second = "SELECT id FROM tds_queue_live WHERE zoho_entity_id = '2'";
    let id: i64 = sqlx::query_scalar(second).fetch_one(database.database().pool()).await.expect("there");
    let filter = ItemFilter { ids: Some(vec![tds_core::queue::ItemId(id)]), ..ItemFilter::default() };
    let retried = meanwhile(&database, &mut holder, RETRY, async || {
        store.retry(&filter).await.expect("retried");
        assert_eq!(claim(&store, 1).await.len(), 1);
    })
    .await;
    assert_eq!(retried, 1);
    let left = "SELECT string_agg(zoho_entity_id || ' ' || status, ', ' ORDER BY zoho_entity_id) FROM tds_queue_live";
    assert_eq!(text(&database, left).await, "1 pending, 2 processing");
}

/// Settles in all ways, so that there are always dead letters and failed items, old enough for the handbook's
/// statement.
async fn work_on(store: PgStore, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let claimed = claim(&store, 40).await;
        let ends = claimed.iter().map(|item| {
            let settle = match item.id.0 % 3 {
                0 => Settle::DeadLetter { error: "no".to_owned() },
                1 => Settle::Retry { after: Duration::from_secs(60), error: "later".to_owned() },
                _ => Settle::Complete(Outcome::Applied),
            };
            end(item, settle)
        });
        // A batch that waits too long for the operator becomes due again when its lease expires.
        drop(store.settle(ends.collect()).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Sends deliveries about the same records, in the opposite order of most other statements.
async fn deliver(store: PgStore, number: u64, stop: Arc<AtomicBool>, accepted: Arc<AtomicU64>) {
    for round in 0u64.. {
        for record in (0..300).rev() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let body = event(&record.to_string(), work(i64::try_from(round).expect("small"), "{}"));
            let delivery = NewEvent { event_id: format!("{number}-{round}-{record}"), ..body };
            if store.accept(delivery).await.is_ok() {
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_over_hundreds_of_rows_beside_workers_never_end_in_a_deadlock_of_the_operator() {
    let (database, store) = store().await;
    let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..3 {
        tasks.spawn(deliver(store.clone(), number, Arc::clone(&stop), Arc::clone(&accepted)));
    }
    for _ in 0..2 {
        tasks.spawn(work_on(store.clone(), Arc::clone(&stop)));
    }
    let mut operators = tokio::task::JoinSet::new();
    for (number, sql) in [RETRY, CLEAN_UP].into_iter().enumerate() {
        let mut operator = session(&database).await;
        operators.spawn(async move {
            let until = tokio::time::Instant::now() + Duration::from_secs(4);
            let mut affected = 0;
            while tokio::time::Instant::now() < until {
                // Without index scans, the order of the statement does not match the workers' order by chance.
                execute(&mut operator, "SET enable_indexscan = off").await.expect("set");
                if number == 1 {
                    execute(&mut operator, "UPDATE tds_queue_live SET queued_at = queued_at - interval '31 days'
                       WHERE id IN (SELECT id FROM tds_queue_live WHERE dead_lettered_at IS NOT NULL FOR UPDATE SKIP LOCKED)")
                        .await
                        .expect("old");
                }
                affected += execute(&mut operator, sql).await.expect("no deadlock for the operator");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            affected
        });
    }
    let affected = operators.join_all().await;
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    assert!(affected.iter().all(|rows| *rows > 0), "both statements had something to do: {affected:?}");
    assert!(accepted.load(Ordering::Relaxed) > 0, "deliveries went on");
    // No item or waiter may be left behind.
    loop {
        store.retry(&ItemFilter::default()).await.expect("retried");
        let claimed = claim(&store, 500).await;
        if claimed.is_empty() {
            break;
        }
        store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    }
    let leases = "SELECT count(*)::text FROM tds_queue_live WHERE lease_expires_at > now()";
    if text(&database, leases).await == "0" {
        for (sql, left) in [
            ("SELECT count(*)::text FROM tds_queue_waiters", "0"),
            ("SELECT count(*)::text FROM tds_inbox_events WHERE status <> 'completed'", "0"),
        ] {
            assert_eq!(text(&database, sql).await, left, "{sql}");
        }
    }
}

/// Two rows are locked in opposite orders: the operator locks the first row, and a session that acts like a worker
/// locks the second.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_deadlock_between_an_operator_and_a_worker_the_worker_gives_way() {
    let (database, _store, mut worker) = two_dead_letters().await;
    // The order in which the statement reads the rows.
    let order = "SELECT zoho_entity_id FROM tds_sync_queue WHERE status IN ('completed', 'dead_letter')
                   AND queued_at < NOW() - INTERVAL '30 days'";
    let ids: Vec<String> =
        sqlx::query_scalar(order).fetch_all(database.database().pool()).await.expect("two rows");
    let lock = |id: &String| format!("SELECT FROM tds_queue_live WHERE zoho_entity_id = '{id}' FOR UPDATE");
    let begin = format!("SET lock_timeout = '1s'; BEGIN; {}", lock(&ids[1]));
    execute(&mut worker, &begin).await.expect("held");
    let url = database.url().to_owned();
    let statement = tokio::spawn(async move {
        let mut operator = PgConnection::connect(&url).await.expect("a session");
        execute(&mut operator, CLEAN_UP).await
    });
    let waits = ROW_LOCK_WAITS;
    eventually(async || sqlx::query(waits).fetch_all(database.database().pool()).await.expect("locks")).await;
    let gave_in = execute(&mut worker, &lock(&ids[0])).await;
    assert!(gave_in.is_err(), "by its time-out, or because it is the one who notices");
    execute(&mut worker, "ROLLBACK").await.expect("let go");
    assert_eq!(statement.await.expect("no panic").expect("the operator's statement succeeds"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_who_meet_the_same_rows_in_opposite_orders_take_turns() {
    let (database, _store, mut first) = two_dead_letters().await;
    let change = |id: &str| format!("UPDATE tds_sync_queue SET priority = 7 WHERE zoho_entity_id = '{id}'");
    execute(&mut first, &format!("BEGIN; {}", change("1"))).await.expect("the first row");
    let (url, both) = (database.url().to_owned(), format!("BEGIN; {}; {}; COMMIT", change("2"), change("1")));
    let second = tokio::spawn(async move {
        let mut operator = PgConnection::connect(&url).await.expect("a session");
        execute(&mut operator, &both).await
    });
    let waits = ADVISORY_LOCK_WAITS;
    eventually(async || sqlx::query(waits).fetch_all(database.database().pool()).await.expect("locks")).await;
    execute(&mut first, &format!("{}; COMMIT", change("2"))).await.expect("the second row");
    second.await.expect("no panic").expect("the other operator's statements succeed");
}
