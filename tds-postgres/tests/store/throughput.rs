//! Tests that the optimizations of the store do not change its results.

use std::time::Duration;

use sqlx::Executor as _;
use tds_core::{
    inbox::Inbox as _,
    queue::{
        ClaimRequest, Lane, NewItem, Outcome, Queue as _, QueueMaintenance as _, QueueOperator as _, WorkerId,
    },
};
use tds_postgres::{PgStore, StoreSettings};

use crate::support::{claim, complete, event, item, store, text, work};

const COMPLETED: &str = "SELECT count(*)::text FROM tds_sync_queue WHERE status = 'completed'";

async fn settle_all(store: &PgStore) {
    let claimed = claim(store, 1_000).await;
    store.settle(complete(&claimed, Outcome::Applied)).await.expect("settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_of_completed_items_is_right_after_everything_that_changes_the_archive() {
    let (database, store) = store().await;
    for id in 0..30 {
        store.enqueue(vec![item(&id.to_string(), work(1, "1"))]).await.expect("queued");
    }
    let counted = async |store: &PgStore| store.stats().await.expect("stats").queue.completed.to_string();
    settle_all(&store).await;
    assert_eq!(counted(&store).await, "30");
    for change in [
        "DELETE FROM tds_sync_queue WHERE status = 'completed' AND zoho_entity_id < '2'",
        "UPDATE tds_queue_done SET processing_completed_at = now() - interval '1 day' WHERE zoho_entity_id < '25'",
    ] {
        sqlx::query(change).execute(database.database()).await.expect("changed");
        assert_eq!(counted(&store).await, text(&database, COMPLETED).await, "{change}");
    }
    store.prune(Duration::from_secs(3_600), false).await.expect("pruned");
    assert_eq!(counted(&store).await, text(&database, COMPLETED).await);
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_tally").await, "1", "summed up");
    database.database().pool().execute("TRUNCATE tds_queue_done").await.expect("emptied");
    assert_eq!(counted(&store).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_backlog_more_urgent_work_is_claimed_at_once_and_nothing_is_left_out() {
    let (_database, store) = store().await;
    let bulk = |id: usize| NewItem { lane: Lane::Full, ..item(&format!("bulk-{id}"), work(1, "1")) };
    store.enqueue((0..50).map(bulk).collect()).await.expect("queued");
    let first = claim(&store, 10).await;
    // The released item is at the beginning of the index again, behind the place where the claim ended.
    let lease = tds_core::queue::Lease { id: first[0].id, token: first[0].token };
    let settle = tds_core::queue::Settle::Release { after: Duration::ZERO, fetch: false, reason: None };
    let generation = first[0].generation;
    store.settle(vec![tds_core::queue::Settlement { lease, generation, settle }]).await.expect("released");
    store.accept(event("urgent", work(1, "1"))).await.expect("accepted");
    let next = claim(&store, 10).await;
    assert_eq!(next[0].key.id.as_str(), "urgent", "{next:?}");
    // There are 50 bulk items, one of them claimed twice, and the urgent item. A claim that is not full resets the
    // claim cursors.
    let mut taken = first.len() + next.len();
    for _ in 0..6 {
        taken += claim(&store, 10).await.len();
    }
    assert_eq!(taken, 52);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_stored_by_one_process_wakes_the_workers_of_another() {
    let (database, here) = store().await;
    let elsewhere = PgStore::new(database.database().clone(), StoreSettings::default());
    let worker = tokio::spawn(async move {
        loop {
            let request = ClaimRequest::new(WorkerId("elsewhere".into()), 1, Duration::from_secs(60));
            if let Some(claimed) = elsewhere.claim(&request).await.expect("claimed").pop() {
                return claimed;
            }
            // The timeout is far beyond the limit of this test, so only a notification ends the wait.
            elsewhere.wait(Duration::from_secs(3_600)).await;
        }
    });
    // The listener may still be connecting and miss a notification, so the test sends several.
    let claimed = async {
        for id in 0.. {
            store_one(&here, id).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            if worker.is_finished() {
                break;
            }
        }
        worker.await.expect("a claim")
    };
    let claimed = tokio::time::timeout(Duration::from_secs(60), claimed).await.expect("woken");
    assert_eq!(claimed.lane, Lane::Webhook);
}

async fn store_one(store: &PgStore, id: usize) {
    store.accept(event(&id.to_string(), work(1, "1"))).await.expect("accepted");
}
