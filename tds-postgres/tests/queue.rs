//! Tests of the queue on a real PostgreSQL that the conformance suite cannot express from outside.

mod support;

use std::time::Duration;

use sqlx::Row as _;
use support::{claim, complete, item, store, text, work};
use tds_core::{
    engine::Schedule as _,
    inbox::Inbox as _,
    queue::{
        ItemFilter, ItemStatus, Outcome, Queue as _, QueueOperator as _, Settle, Settlement, Waiter, WorkerId,
    },
};

/// The statements of the operators' handbook, word for word.
const HANDBOOK: [&str; 4] = [
    "SELECT status, COUNT(*) FROM tds_sync_queue GROUP BY status",
    "SELECT entity_type, AVG(EXTRACT(EPOCH FROM (processing_completed_at - queued_at))) AS avg_delay_seconds
       FROM tds_sync_queue WHERE status = 'completed' AND processing_completed_at IS NOT NULL GROUP BY entity_type",
    "SELECT entity_type, error_message, COUNT(*) AS count FROM tds_sync_queue
      WHERE status = 'failed' AND queued_at > NOW() - INTERVAL '24 hours' GROUP BY entity_type, error_message ORDER BY count DESC",
    "SELECT COUNT(*) AS total_webhooks, SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS successful,
            SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed,
            ROUND(100.0 * SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) / COUNT(*), 2)::text AS success_rate_percent
       FROM tds_inbox_events WHERE received_at > NOW() - INTERVAL '24 hours'",
];
const CLEAN_UP: &str = "DELETE FROM tds_sync_queue WHERE status IN ('completed', 'dead_letter') AND queued_at < NOW() - INTERVAL '30 days'";

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_renewals_are_heap_only_updates() {
    let (database, store) = store().await;
    let items = (0..500).map(|n| item(&n.to_string(), work(1, "{}"))).collect();
    store.enqueue(items).await.expect("queued");
    let claimed = claim(&store, 500).await;
    assert_eq!(claimed.len(), 500);
    let hot = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'tds_queue_live'";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let row = sqlx::query(hot).fetch_one(database.database()).await.expect("statistics");
        let (updates, heap_only): (i64, i64) = (row.get(0), row.get(1));
        if updates >= 500 {
            assert!(heap_only * 100 >= updates * 95, "{heap_only} of {updates} updates were heap-only");
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the statistics did not arrive: {updates}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_written_by_a_clock_that_was_ahead_are_due_now() {
    let (database, store) = store().await;
    let execute = async |sql: &'static str| {
        sqlx::query(sql).execute(database.database()).await.expect("executes");
    };
    store
        .enqueue(["waits", "taken", "later"].map(|id| item(id, work(1, "{}"))).into())
        .await
        .expect("queued");
    execute("UPDATE tds_queue_live SET run_at = now() + interval '1 hour' WHERE zoho_entity_id <> 'taken'")
        .await;
    let dead = claim(&store, 5).await;
    assert_eq!(dead.len(), 1, "it was taken by a worker that died");
    execute(
        "UPDATE tds_queue_live SET queued_at = now() + interval '3 hours', run_at = now() + interval '3 hours'
          WHERE zoho_entity_id = 'waits'",
    )
    .await;
    execute(
        "UPDATE tds_queue_live SET processing_started_at = now() + interval '3 hours',
           lease_expires_at = now() + interval '3 hours' WHERE zoho_entity_id = 'taken'",
    )
    .await;
    execute("INSERT INTO tds_leases (name, owner, expires_at) VALUES ('scheduler', 'dead', now() + interval '3 hours')")
        .await;
    let leads = store.lead(&WorkerId("new".into()), Duration::from_secs(30)).await.expect("answers");
    assert!(leads, "a lease of three hours is none that anybody asked for");
    store.due(&[]).await.expect("looked at");
    let taken: Vec<_> = claim(&store, 5).await.into_iter().map(|item| item.key.id.to_string()).collect();
    assert_eq!(taken, ["waits"], "what was put off by a right clock stays put off");
    let soon = "SELECT (lease_expires_at < now() + interval '2 minutes')::text || (queued_at <= now())::text
                  FROM tds_queue_live WHERE zoho_entity_id = 'taken'";
    assert_eq!(text(&database, soon).await, "truetrue");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_index_of_the_hot_table_contains_the_status_or_a_lease() {
    let (database, _store) = store().await;
    let sql = "SELECT indexdef FROM pg_indexes WHERE tablename = 'tds_queue_live'";
    for row in sqlx::query(sql).fetch_all(database.database()).await.expect("indexes") {
        let definition: String = row.get(0);
        assert!(!definition.contains("status") && !definition.contains("lease"), "{definition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn enqueuers_in_opposite_order_do_not_fail() {
    let (_database, store) = store().await;
    let tasks = (0..4).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..15 {
                let mut items: Vec<_> = (0..60)
                    .map(|n| item(&n.to_string(), work(round, &format!("{{\"w\":{writer}}}"))))
                    .collect();
                if writer % 2 == 0 {
                    items.reverse();
                }
                store.enqueue(items).await.expect("queued");
                let claimed = claim(&store, 20).await;
                store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_twice_in_a_call_is_one_item() {
    let (_database, store) = store().await;
    store.enqueue(vec![item("7", work(1, "1")), item("7", work(2, "2"))]).await.expect("queued");
    let claimed = claim(&store, 10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].work, work(2, "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn short_leases_cause_no_double_settling() {
    let (database, store) = store().await;
    store.enqueue(vec![item("7", work(1, "1"))]).await.expect("queued");
    let first = support::claim_for(&store, 1, Duration::from_millis(50)).await;
    let second = support::eventually(|| claim(&store, 1)).await;
    assert_eq!((second[0].retry_count, second[0].lost_leases), (0, 1), "a lost lease is no attempt");
    let late = store.settle(complete(&first, Outcome::Applied)).await.expect("settled");
    assert_eq!((late.accepted, late.fenced), (0, 1));
    let good = store.settle(complete(&second, Outcome::Applied)).await.expect("settled");
    assert_eq!((good.accepted, good.fenced), (1, 0));
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_done").await, "1");
    let item = store.get(second[0].id).await.expect("read").expect("there");
    let results: Vec<&str> =
        item.attempts.unwrap_or_default().iter().map(|attempt| attempt.result.as_str()).collect();
    assert_eq!(results, ["lease_lost", "completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handbook_works_on_a_populated_database() {
    let (database, store) = store().await;
    let keys = ["done", "failed", "dead", "old", "waiting"];
    for key in keys {
        store.accept(support::event(key, work(1, "{}"))).await.expect("accepted");
    }
    for claimed in claim(&store, 4).await {
        let settle = match claimed.key.id.as_str() {
            "failed" => Settle::Retry { after: Duration::from_secs(60), error: "later\0".into() },
            "dead" => Settle::DeadLetter { error: "no".into() },
            _ => Settle::Complete(Outcome::Applied),
        };
        let lease = tds_core::queue::Lease { id: claimed.id, token: claimed.token };
        let settlement = Settlement { lease, generation: claimed.generation, settle };
        store.settle(vec![settlement]).await.expect("settled");
    }
    let mut counts: Vec<(String, i64)> = Vec::new();
    for row in sqlx::query(HANDBOOK[0]).fetch_all(database.database()).await.expect("counts") {
        counts.push((row.get(0), row.get(1)));
    }
    counts.sort();
    let expected = [("completed", 2), ("dead_letter", 1), ("failed", 1), ("pending", 1)];
    assert_eq!(counts, expected.map(|(status, count)| (status.to_owned(), count)));
    let stats = store.stats().await.expect("stats").queue;
    assert_eq!((stats.completed, stats.dead_letter, stats.failed, stats.pending), (2, 1, 1, 1));
    let delays = sqlx::query(HANDBOOK[1]).fetch_all(database.database()).await.expect("delays");
    assert_eq!(delays.len(), 1);
    let failures = sqlx::query(HANDBOOK[2]).fetch_one(database.database()).await.expect("failures");
    assert_eq!(failures.get::<i64, _>(2), 1);
    let rate = sqlx::query(HANDBOOK[3]).fetch_one(database.database()).await.expect("rate");
    assert_eq!((rate.get::<i64, _>(0), rate.get::<i64, _>(1), rate.get::<i64, _>(2)), (5, 2, 1));
    assert_eq!(rate.get::<String, _>(3), "40.00");

    for table in ["tds_queue_live", "tds_queue_done"] {
        let age = format!(
            "UPDATE {table} SET queued_at = queued_at - INTERVAL '31 days' WHERE zoho_entity_id <> 'done'"
        );
        sqlx::query(sqlx::AssertSqlSafe(age)).execute(database.database()).await.expect("aged");
    }
    let deleted = sqlx::query(CLEAN_UP).execute(database.database()).await.expect("deleted");
    assert_eq!(deleted.rows_affected(), 2, "the old success and the dead letter");
    let left = store.list(&ItemFilter::default(), 10, None).await.expect("list").items;
    let mut left: Vec<&str> = left.iter().map(|item| item.record.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["done", "failed", "waiting"]);
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_waiters").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_ends_alike_by_a_script_that_deletes_its_dead_letter_and_by_a_discard() {
    let (database, store) = store().await;
    for id in ["deleted", "discarded"] {
        store.accept(support::event(id, work(1, "1"))).await.expect("accepted");
        let claimed = claim(&store, 1).await.remove(0);
        let lease = tds_core::queue::Lease { id: claimed.id, token: claimed.token };
        let settle = Settle::DeadLetter { error: "no".into() };
        let settlement = Settlement { lease, generation: claimed.generation, settle };
        store.settle(vec![settlement]).await.expect("settled");
    }
    let delete = "DELETE FROM tds_sync_queue WHERE zoho_entity_id = 'deleted'";
    sqlx::query(delete).execute(database.database()).await.expect("deleted");
    let dead = ItemFilter { status: Some(ItemStatus::DeadLetter), ..ItemFilter::default() };
    assert_eq!(store.discard(&dead).await.expect("discarded"), 1);
    let ends = "SELECT string_agg(DISTINCT concat_ws(' ', status, outcome, error_message, open_items), ',')
        FROM tds_inbox_events";
    assert_eq!(text(&database, ends).await, "completed discarded 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_dead_letter_is_folded_into_the_live_item_of_its_record() {
    let (database, store) = store().await;
    let accepted = store.accept(support::event("7", work(1, "1"))).await.expect("accepted");
    let claimed = claim(&store, 1).await;
    let lease = tds_core::queue::Lease { id: claimed[0].id, token: claimed[0].token };
    let settle = Settle::DeadLetter { error: "no".into() };
    store
        .settle(vec![Settlement { lease, generation: claimed[0].generation, settle }])
        .await
        .expect("settled");
    let mut newer = item("7", work(2, "2"));
    newer.waiter = Waiter::Operator;
    store.enqueue(vec![newer]).await.expect("queued");
    let dead = ItemFilter { status: Some(ItemStatus::DeadLetter), ..ItemFilter::default() };
    assert_eq!(store.retry(&dead).await.expect("retried"), 1);
    let claimed = claim(&store, 5).await;
    assert_eq!(claimed.len(), 1, "the two are one item");
    store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    let status = format!("SELECT status FROM tds_inbox_events WHERE id = {}", accepted.id);
    assert_eq!(text(&database, &status).await, "completed");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "0");
}
