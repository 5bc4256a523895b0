//! Tests of problems that were observed in other queues on PostgreSQL.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tds_core::{
    engine::{Registry, Worker, WorkerSettings},
    error::Result,
    handler::{BatchHandler, Handled},
    inbox::{Inbox as _, NewEvent},
    queue::{Claimed, Outcome, Queue as _, QueueOperator as _, WorkerId},
    record::EntityType,
    shutdown::ShutdownTrigger,
};
use tds_postgres::PgStore;

use crate::support::{PRODUCTS, claim, complete, event, eventually, item, store, text, work};

#[tokio::test(flavor = "multi_thread")]
async fn claims_at_the_same_time_take_what_they_asked_for_and_nothing_twice() {
    let (_database, store) = store().await;
    store.enqueue((0..200).map(|n| item(&n.to_string(), work(1, "{}"))).collect()).await.expect("queued");
    let claims: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { claim(&store, 25).await })
        })
        .collect();
    let mut taken = Vec::new();
    for one in claims {
        let claimed = one.await.expect("no panic");
        assert!(claimed.len() <= 25, "{} items for a limit of 25", claimed.len());
        taken.extend(claimed);
    }
    // Rows that another claim was locking were skipped. Now no claim holds them.
    taken.extend(claim(&store, 200).await);
    let distinct: HashSet<_> = taken.iter().map(|item| item.id).collect();
    assert_eq!((taken.len(), distinct.len()), (200, 200));
}

/// A handler that works for longer than the lease of its items.
struct Slow;

#[async_trait]
impl BatchHandler for Slow {
    fn entity(&self) -> &EntityType {
        const ENTITY: &EntityType = &PRODUCTS;
        ENTITY
    }

    fn batch_size(&self, _item: &Claimed) -> usize {
        10
    }

    async fn handle_batch(&self, items: &[Claimed]) -> Vec<Result<Handled>> {
        tokio::time::sleep(Duration::from_millis(150)).await;
        items.iter().map(|_| Ok(Handled::Done(Outcome::Applied))).collect()
    }
}

fn worker(store: &PgStore, name: &str) -> Worker {
    let settings = WorkerSettings {
        worker: WorkerId(name.into()),
        lease: Duration::from_millis(50),
        ..WorkerSettings::default()
    };
    Worker::new(Arc::new(store.clone()), Registry::default().with_handler(Arc::new(Slow)), settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_take_longer_than_a_lease_of_50_ms_end_once() {
    let (database, store) = store().await;
    store.enqueue((0..300).map(|n| item(&n.to_string(), work(1, "{}"))).collect()).await.expect("queued");
    let (trigger, shutdown) = ShutdownTrigger::new();
    let workers: Vec<_> = ["one", "two"]
        .into_iter()
        .map(|name| {
            let (worker, shutdown) = (worker(&store, name), shutdown.clone());
            tokio::spawn(async move { worker.run(shutdown).await })
        })
        .collect();
    eventually(async || {
        let done = text(&database, "SELECT count(*)::text FROM tds_queue_done").await;
        if done == "300" { vec![done] } else { Vec::new() }
    })
    .await;
    trigger.shutdown();
    for worker in workers {
        worker.await.expect("no panic");
    }
    let ends = "SELECT count(*) || ' ' || count(DISTINCT zoho_entity_id) || ' ' || count(*) FILTER (WHERE outcome = 'applied')
                  FROM tds_queue_done";
    assert_eq!(text(&database, ends).await, "300 300 300");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_beyond_four_bytes_work_everywhere() {
    let (database, store) = store().await;
    for table in ["tds_inbox_events", "tds_queue_live", "tds_queue_attempts"] {
        let far = format!("ALTER TABLE {table} ALTER COLUMN id RESTART WITH 5000000000");
        sqlx::query(sqlx::AssertSqlSafe(far)).execute(database.database()).await.expect("set");
    }
    sqlx::query("SELECT setval('tds_lease_seq', 5000000000)")
        .execute(database.database())
        .await
        .expect("set");
    let accepted = store.accept(event("7", work(1, "{}"))).await.expect("accepted");
    assert!(accepted.id.0 >= 5_000_000_000);
    let claimed = claim(&store, 1).await;
    assert!(claimed[0].id.0 >= 5_000_000_000 && claimed[0].token.0 > 5_000_000_000);
    assert_eq!(store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled").accepted, 1);
    let item = store.get(claimed[0].id).await.expect("read").expect("in the archive");
    assert_eq!(item.inbox_event_id, Some(accepted.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_changes_all_the_time_takes_one_place_in_a_batch() {
    let (database, store) = store().await;
    for version in 0..50 {
        let next = NewEvent { event_id: format!("busy-{version}"), ..event("busy", work(version, "{}")) };
        store.accept(next).await.expect("accepted");
    }
    store.enqueue((0..9).map(|n| item(&n.to_string(), work(1, "{}"))).collect()).await.expect("queued");
    let claimed = claim(&store, 10).await;
    assert_eq!(claimed.len(), 10);
    store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    let ended = "SELECT string_agg(DISTINCT status, ',') || ' ' || count(*) FROM tds_inbox_events";
    assert_eq!(text(&database, ended).await, "completed 50");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_enqueue_is_several_transactions() {
    let (database, store) = store().await;
    store.enqueue((0..5_000).map(|n| item(&n.to_string(), work(1, "{}"))).collect()).await.expect("queued");
    // `run_at` is the start time of the transaction.
    let chunks = "SELECT count(*) || ' ' || (count(DISTINCT run_at) > 1) FROM tds_queue_live";
    assert_eq!(text(&database, chunks).await, "5000 true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_drains_while_a_snapshot_is_held_open() {
    let (database, store) = store().await;
    store.enqueue((0..2_000).map(|n| item(&n.to_string(), work(1, "{}"))).collect()).await.expect("queued");
    // The reader acts like `pg_dump`: no row version that ends from now on may be removed.
    let mut reader = database.database().pool().begin().await.expect("begins");
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *reader).await.expect("set");
    let seen = "SELECT count(*) FROM tds_queue_live";
    let before: i64 = sqlx::query_scalar(seen).fetch_one(&mut *reader).await.expect("counted");
    loop {
        let claimed = claim(&store, 100).await;
        if claimed.is_empty() {
            break;
        }
        store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    }
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_done").await, "2000");
    let after: i64 = sqlx::query_scalar(seen).fetch_one(&mut *reader).await.expect("counted");
    assert_eq!((before, after), (2_000, 2_000), "the snapshot was held all the time");
}
