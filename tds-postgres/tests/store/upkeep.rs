//! Tests of counting, pruning and leadership under load.

use std::time::Duration;

use crate::support::{claim, claim_for, event, item, store, text, work};
use sqlx::Row as _;
use tds_core::{
    engine::Schedule as _,
    inbox::Inbox as _,
    queue::{
        Lease, Outcome, Queue as _, QueueMaintenance as _, QueueOperator as _, Settle, Settlement, WorkerId,
    },
};
use tds_postgres::{Database, DatabaseConfig, PgStore, StoreSettings, testkit::TestDatabase};

/// The statements of the operators' handbook, word for word.
const COUNTS: &str = "SELECT status, COUNT(*) FROM tds_sync_queue GROUP BY status";
const WEBHOOKS: &str =
    "SELECT COUNT(*) AS total_webhooks, SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS successful,
       SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed
  FROM tds_inbox_events WHERE received_at > NOW() - INTERVAL '24 hours'";

/// Settles by the number of the item: every kind of settlement occurs, and some work stays claimed.
async fn mixed_load(store: &PgStore) {
    for number in 0..60 {
        if number % 3 == 0 {
            store.accept(event(&number.to_string(), work(1, "1"))).await.expect("accepted");
        } else {
            store.enqueue(vec![item(&number.to_string(), work(1, "1"))]).await.expect("queued");
        }
    }
    let settle = |claimed: tds_core::queue::Claimed| {
        let number: usize = claimed.key.id.as_str().parse().expect("a number");
        let after = Duration::from_secs(600);
        let settle = match number % 7 {
            0 => Settle::DeadLetter { error: "no".into() },
            1 => Settle::Retry { after, error: "later".into() },
            2 => Settle::Release { after, fetch: true, reason: None },
            3 => return None,
            4 => Settle::Complete(Outcome::Unchanged),
            _ => Settle::Complete(Outcome::Applied),
        };
        let lease = Lease { id: claimed.id, token: claimed.token };
        Some(Settlement { lease, generation: claimed.generation, settle })
    };
    let settlements: Vec<Settlement> = claim(store, 50).await.into_iter().filter_map(settle).collect();
    store.settle(settlements).await.expect("settled");
    // Some of the items get new work.
    let again = (0..60).step_by(4).map(|number| item(&number.to_string(), work(2, "2"))).collect();
    store.enqueue(again).await.expect("queued");
    let claimed = claim_for(store, 5, Duration::from_secs(60)).await;
    store.settle(crate::support::complete(&claimed, Outcome::Applied)).await.expect("settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_of_the_api_are_those_of_the_handbook() {
    let (database, store) = store().await;
    mixed_load(&store).await;
    let stats = store.stats().await.expect("stats");
    let rows = sqlx::query(COUNTS).fetch_all(database.database()).await.expect("counts");
    assert_eq!(rows.len(), 5, "every status occurs");
    for row in rows {
        let (status, count): (String, i64) = (row.get(0), row.get(1));
        let reported = match status.as_str() {
            "pending" => stats.queue.pending,
            "processing" => stats.queue.processing,
            "completed" => stats.queue.completed,
            "failed" => stats.queue.failed,
            _ => stats.queue.dead_letter,
        };
        assert_eq!(reported, count, "{status}");
    }
    let average =
        "SELECT AVG(EXTRACT(EPOCH FROM (processing_completed_at - queued_at)))::float8 FROM tds_sync_queue
      WHERE status = 'completed' AND processing_completed_at IS NOT NULL";
    let average: f64 = sqlx::query_scalar(average).fetch_one(database.database()).await.expect("a mean");
    let reported = stats.overall.avg.expect("a mean");
    assert!((average - reported).abs() < 0.001, "{average} and {reported}");
    let webhooks = sqlx::query(WEBHOOKS).fetch_one(database.database()).await.expect("counts");
    assert_eq!(webhooks.get::<i64, _>(0), 20);
    assert_eq!(
        text(&database, "SELECT count(*)::text FROM tds_inbox_events WHERE status = 'failed'").await,
        webhooks.get::<i64, _>(2).to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_keeps_what_lives_with_its_events_and_dead_letters_unless_asked() {
    let (database, store) = store().await;
    for id in ["done", "dead", "failed", "waiting", "running"] {
        store.accept(event(id, work(1, "1"))).await.expect("accepted");
    }
    for claimed in claim(&store, 9).await {
        let settle = match claimed.key.id.as_str() {
            "done" => Settle::Complete(Outcome::Applied),
            "dead" => Settle::DeadLetter { error: "no".into() },
            "failed" => Settle::Retry { after: Duration::from_secs(600), error: "later".into() },
            "waiting" => Settle::Release { after: Duration::from_secs(600), fetch: false, reason: None },
            _ => continue,
        };
        let lease = Lease { id: claimed.id, token: claimed.token };
        store
            .settle(vec![Settlement { lease, generation: claimed.generation, settle }])
            .await
            .expect("settled");
    }
    let items = "SELECT string_agg(zoho_entity_id, ' ' ORDER BY zoho_entity_id) FROM tds_sync_queue";
    let events = "SELECT string_agg(entity_id, ' ' ORDER BY entity_id) FROM tds_inbox_events";
    assert_eq!(store.prune(Duration::from_secs(3600), true).await.expect("pruned"), 0, "nothing is that old");
    assert_eq!(store.prune(Duration::ZERO, false).await.expect("pruned"), 2, "an item and its event");
    for look in [items, events] {
        assert_eq!(text(&database, look).await, "dead failed running waiting");
    }
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_waiters").await, "4");
    assert_eq!(store.prune(Duration::ZERO, true).await.expect("pruned"), 2, "the dead letter and its event");
    for look in [items, events] {
        assert_eq!(text(&database, look).await, "failed running waiting");
    }
    assert_eq!(store.prune(Duration::ZERO, true).await.expect("pruned"), 0);
}

/// Returns the store of another process, which has connections of its own.
async fn process(database: &TestDatabase) -> PgStore {
    let config = DatabaseConfig::new(database.url().to_owned());
    PgStore::new(Database::connect(&config).await.expect("connects"), StoreSettings::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_leads_and_the_other_takes_over_after_the_lease() {
    let database = TestDatabase::new().await;
    let (one, two) = (process(&database).await, process(&database).await);
    let (first, second) = (WorkerId("one".into()), WorkerId("two".into()));
    let lease = Duration::from_secs(2);
    let (a, b) = tokio::join!(one.lead(&first, lease), two.lead(&second, lease));
    let (a, b) = (a.expect("asked"), b.expect("asked"));
    assert!(a ^ b, "exactly one leads");
    let (leader, name, other, waiting) =
        if a { (&one, &first, &two, &second) } else { (&two, &second, &one, &first) };
    assert!(leader.lead(name, lease).await.expect("asked"), "it stays the leader");
    let renewed = tokio::time::Instant::now();
    assert!(!other.lead(waiting, lease).await.expect("asked"));
    let deadline = renewed + Duration::from_secs(20);
    while !other.lead(waiting, lease).await.expect("asked") {
        assert!(tokio::time::Instant::now() < deadline, "nobody took over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(renewed.elapsed() >= Duration::from_millis(1_500), "not before the lease ran out");
    assert!(!leader.lead(name, lease).await.expect("asked"), "the old leader sees that it is none");
}
