//! Tests of the statements that operators' scripts may execute on `tds_sync_queue`, and of the errors of other
//! statements.

use crate::support::{claim, complete, event, item, store, text, work};
use sqlx::AssertSqlSafe;
use tds_core::{
    inbox::Inbox as _,
    queue::{
        Claimed, ItemFilter, ItemStatus, Lease, Outcome, Queue as _, QueueOperator as _, Settle, Settlement,
        Work,
    },
};
use tds_postgres::{PgStore, testkit::TestDatabase};

/// Selects the state of the items, events and waiters, without times and ids.
const PICTURE: &str = "
SELECT (SELECT jsonb_agg(to_jsonb(q) - '{id,inbox_event_id,claimed_event_id,queued_at,run_at,processing_started_at,lease_expires_at}'::text[]
                         ORDER BY q.id) FROM tds_queue_live q)::text
    || (SELECT jsonb_agg(to_jsonb(d) - '{id,inbox_event_id,queued_at,run_at,processing_started_at,processing_completed_at,worker}'::text[]
                         ORDER BY d.id) FROM tds_queue_done d)::text
    || (SELECT jsonb_agg(jsonb_build_array(e.event_id, e.status, e.outcome, e.error_message, e.open_items) ORDER BY e.id)
          FROM tds_inbox_events e)::text
    || (SELECT count(*) FROM tds_queue_waiters)
";

async fn execute(database: &TestDatabase, sql: &str) -> Result<u64, sqlx::Error> {
    sqlx::query(AssertSqlSafe(sql.to_owned()))
        .execute(database.database())
        .await
        .map(|done| done.rows_affected())
}

async fn refused(database: &TestDatabase, sql: &str) -> String {
    let error = execute(database, sql).await.expect_err(sql);
    let sqlx::Error::Database(error) = error else { panic!("{error}") };
    let hint = error.downcast_ref::<sqlx::postgres::PgDatabaseError>().hint().unwrap_or_default();
    assert!(!hint.is_empty(), "the refusal says what to do instead: {error}");
    format!("{error} {hint}")
}

async fn settle(store: &PgStore, claimed: &Claimed, settle: Settle) {
    let lease = Lease { id: claimed.id, token: claimed.token };
    let settlement = Settlement { lease, generation: claimed.generation, settle };
    store.settle(vec![settlement]).await.expect("settled");
}

/// Creates one item of every status, with events. The id of each record is its status.
async fn populated() -> (TestDatabase, PgStore) {
    let (database, store) = store().await;
    for id in ["completed", "dead_letter", "failed", "processing", "pending"] {
        store.accept(event(id, work(1, "1"))).await.expect("accepted");
    }
    for claimed in claim(&store, 4).await {
        match claimed.key.id.as_str() {
            "completed" => settle(&store, &claimed, Settle::Complete(Outcome::Applied)).await,
            "dead_letter" => settle(&store, &claimed, Settle::DeadLetter { error: "no".into() }).await,
            "failed" => {
                let after = std::time::Duration::from_secs(3600);
                settle(&store, &claimed, Settle::Retry { after, error: "later".into() }).await;
            }
            _ => {}
        }
    }
    (database, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn times_priority_attempts_and_texts_can_be_changed() {
    let (database, _store) = populated().await;
    let all = "UPDATE tds_sync_queue SET queued_at = queued_at - INTERVAL '31 days', priority = 40, retry_count = 3,
      run_at = run_at + INTERVAL '1 hour', error_message = 'seen by ' || status";
    assert_eq!(execute(&database, all).await.expect("updated"), 5);
    let changed = "SELECT count(*)::text FROM tds_sync_queue WHERE queued_at < now() - INTERVAL '30 days'
      AND priority = 40 AND retry_count = 3 AND run_at > now() + INTERVAL '50 minutes' AND error_message = 'seen by ' || status";
    assert_eq!(text(&database, changed).await, "5");
    let times =
        "UPDATE tds_sync_queue SET processing_completed_at = processing_completed_at - INTERVAL '1 day',
      processing_started_at = processing_started_at - INTERVAL '1 day' WHERE status = 'completed'";
    assert_eq!(execute(&database, times).await.expect("updated"), 1);
    let moved = "SELECT count(*)::text FROM tds_queue_done WHERE processing_completed_at < now() - INTERVAL '23 hours'
      AND processing_started_at < now() - INTERVAL '23 hours'";
    assert_eq!(text(&database, moved).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_retries_what_failed_as_the_api_does() {
    let sql = "UPDATE tds_sync_queue SET status = 'pending', retry_count = 0 WHERE status IN ('dead_letter', 'failed')";
    let (scripted, by_script) = populated().await;
    assert_eq!(execute(&scripted, sql).await.expect("updated"), 2);
    let (called, by_api) = populated().await;
    assert_eq!(by_api.retry(&ItemFilter::default()).await.expect("retried"), 2);
    assert_eq!(text(&scripted, PICTURE).await, text(&called, PICTURE).await);
    let mut due: Vec<String> =
        claim(&by_script, 9).await.iter().map(|item| item.key.id.to_string()).collect();
    due.sort();
    assert_eq!(due, ["dead_letter", "failed", "pending"], "all are due at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_folds_a_dead_letter_into_the_live_item_as_the_api_does() {
    let dead_ones = ItemFilter { status: Some(ItemStatus::DeadLetter), ..ItemFilter::default() };
    for (version, live, recheck) in [
        (0, "pending", false),
        (1, "pending", false),
        (2, "pending", false),
        (2, "processing", false),
        (0, "processing", false),
        (0, "failed", false),
        (2, "failed", false),
        (2, "pending", true),
        (2, "processing", true),
        (2, "failed", true),
    ] {
        let mut pictures = Vec::new();
        for scripted in [true, false] {
            let (database, store) = store().await;
            store.accept(event("7", Work { recheck, ..work(1, "1") })).await.expect("accepted");
            let dead = claim(&store, 1).await;
            settle(&store, &dead[0], Settle::DeadLetter { error: "no".into() }).await;
            store
                .accept(tds_core::inbox::NewEvent {
                    event_id: "newer".into(),
                    ..event("7", work(version, "2"))
                })
                .await
                .expect("accepted");
            if live != "pending" {
                let claimed = claim(&store, 1).await;
                if live == "failed" {
                    let after = std::time::Duration::from_secs(3600);
                    settle(&store, &claimed[0], Settle::Retry { after, error: "later".into() }).await;
                }
            }
            if scripted {
                let sql = "UPDATE tds_sync_queue SET status = 'pending', retry_count = 0 WHERE status = 'dead_letter'";
                assert_eq!(execute(&database, sql).await.expect("updated"), 1);
            } else {
                assert_eq!(store.retry(&dead_ones).await.expect("retried"), 1);
            }
            let leases = "UPDATE tds_queue_live SET lease_expires_at = NULL, requeued_at = requeued_at - (requeued_at - 'epoch')";
            execute(&database, leases).await.expect("forgotten");
            execute(&database, "UPDATE tds_queue_done SET retry_count = 0").await.expect("forgotten");
            execute(&database, "UPDATE tds_inbox_events SET status = 'pending' WHERE status = 'processing'")
                .await
                .expect("alike");
            pictures.push(text(&database, PICTURE).await);
        }
        assert_eq!(pictures[0], pictures[1], "version {version} into an item that is {live}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_one_record_become_one_item_that_completes_all_events() {
    let (database, store) = store().await;
    for version in 1..=3 {
        let next =
            tds_core::inbox::NewEvent { event_id: format!("e{version}"), ..event("7", work(version, "{}")) };
        store.accept(next).await.expect("accepted");
        let claimed = claim(&store, 1).await;
        settle(&store, &claimed[0], Settle::DeadLetter { error: "no".into() }).await;
    }
    let sql = "UPDATE tds_sync_queue SET status = 'pending' WHERE status = 'dead_letter'";
    assert_eq!(execute(&database, sql).await.expect("updated"), 3);
    let claimed = claim(&store, 9).await;
    assert_eq!((claimed.len(), &claimed[0].work), (1, &work(3, "{}")));
    store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
    let ended = "SELECT string_agg(status || ' ' || open_items, ', ') FROM tds_inbox_events";
    assert_eq!(text(&database, ended).await, "completed 0, completed 0, completed 0");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_waiters").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_else_is_refused_with_what_to_do_instead() {
    let (database, store) = populated().await;
    store.enqueue(vec![item("other", work(1, "1"))]).await.expect("queued");
    let before = text(&database, PICTURE).await;
    for (sql, says) in [
        ("SET status = 'completed' WHERE status = 'pending'", "discard them, or DELETE"),
        ("SET status = 'pending' WHERE status = 'completed'", "from completed to pending"),
        ("SET status = 'pending' WHERE status = 'processing'", "its lease"),
        ("SET status = NULL WHERE status = 'failed'", "to NULL"),
        (
            "SET zoho_entity_id = 'x', entity_type = 'bills' WHERE status = 'failed'",
            "entity_type, zoho_entity_id",
        ),
        ("SET outcome = 'applied'", "outcome"),
        ("SET priority = 60", "50 verify"),
        ("SET retry_count = -1", "not negative"),
        ("SET processing_completed_at = now() WHERE status = 'failed'", "once the item is completed"),
        ("SET processing_started_at = now() WHERE status = 'processing'", "its worker"),
    ] {
        let answer = refused(&database, &format!("UPDATE tds_sync_queue {sql}")).await;
        assert!(answer.contains(says), "{sql}: {answer}");
    }
    let insert = "INSERT INTO tds_sync_queue (entity_type, zoho_entity_id) VALUES ('products', '1')";
    assert!(refused(&database, insert).await.contains("bulk syncs"));
    assert_eq!(text(&database, PICTURE).await, before, "nothing was changed");
}
