//! Tests of work or waiters that are attached to an item between the decision to end the item and its end.
//!
//! The tests force the interleaving. A session that inserts a waiter stops at a gate while it holds the item's row.
//! The settling waits for that row with a snapshot that does not show the waiter. Then the gate opens.

use std::time::Duration;

use crate::support::{
    ADVISORY_LOCK_WAITS, ROW_LOCK_WAITS, claim, complete, event, eventually, item, key, store, text, work,
};
use sqlx::{Connection as _, PgConnection};
use tds_core::{
    inbox::Inbox as _,
    queue::{
        ItemFilter, Lane, Lease, NewItem, Outcome, Queue as _, QueueOperator as _, Settle, Settled,
        Settlement, Waiter, WorkerId,
    },
    runs::{Checkpoint, NewRun, PageCommit, RunId, RunLease, RunType, SyncRun as _, SyncRunOperator as _},
};
use tds_postgres::{PgStore, testkit::TestDatabase};

// The wait at the gate has no `lock_timeout`, unlike the statements of the store: how long the test takes to open the
// gate depends on the machine.
const GATE: &str = "
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(77);
  RETURN NULL;
END $$;
CREATE TRIGGER gate AFTER INSERT OR UPDATE ON tds_queue_waiters FOR EACH STATEMENT EXECUTE FUNCTION gate();";

/// Closes the gate, which stays closed as long as the returned connection is open.
async fn shut(database: &TestDatabase) -> PgConnection {
    sqlx::raw_sql(GATE).execute(database.database().pool()).await.expect("a gate");
    let mut keeper = PgConnection::connect(database.url()).await.expect("a session");
    sqlx::raw_sql("SELECT pg_advisory_lock(77)").execute(&mut keeper).await.expect("shut");
    keeper
}

async fn waits(database: &TestDatabase, sql: &'static str) {
    eventually(async || sqlx::query(sql).fetch_all(database.database().pool()).await.expect("locks")).await;
}

/// Lets `attaching` hold the item while `ending` waits for the item.
async fn interleave<A: Send + 'static, E: Send + 'static>(
    database: &TestDatabase,
    attaching: impl Future<Output = A> + Send + 'static,
    ending: impl Future<Output = E> + Send + 'static,
) -> (A, E) {
    let keeper = shut(database).await;
    let attaching = tokio::spawn(attaching);
    waits(database, ADVISORY_LOCK_WAITS).await;
    let ending = tokio::spawn(ending);
    waits(database, ROW_LOCK_WAITS).await;
    keeper.close().await.expect("opened");
    (attaching.await.expect("no panic"), ending.await.expect("no panic"))
}

/// Returns a claimed item with its own event.
async fn claimed_with_event(store: &PgStore) -> Vec<tds_core::queue::Claimed> {
    store.accept(event("7", work(5, "{}"))).await.expect("accepted");
    claim(store, 1).await
}

fn later_delivery(store: &PgStore, version: i64) -> impl Future<Output = ()> + use<> {
    let (store, late) = (store.clone(), event("7", work(version, "{}")));
    async move {
        let late = tds_core::inbox::NewEvent { event_id: "late".to_owned(), ..late };
        store.accept(late).await.expect("accepted");
    }
}

/// Settles as a worker does: settlements that fail because another session holds a lock for too long are repeated.
fn settling(store: &PgStore, settlements: Vec<Settlement>) -> impl Future<Output = Settled> + use<> {
    let store = store.clone();
    async move {
        loop {
            let settled = store.settle(settlements.clone()).await.expect("settled");
            if settled.locked.is_empty() {
                return settled;
            }
        }
    }
}

async fn started(store: &PgStore) -> RunLease {
    let request = NewRun {
        entity: crate::support::PRODUCTS,
        run_type: RunType::Full,
        source_type: "zoho".to_owned(),
        since: None,
        selection: None,
        verify: None,
        requested_by: "test".to_owned(),
    };
    store.create(request).await.expect("created");
    store
        .claim_run(&WorkerId("test".to_owned()), Duration::from_secs(60), None)
        .await
        .expect("taken")
        .expect("there")
}

fn last_page(run: RunId, work: tds_core::queue::Work) -> PageCommit {
    let item = NewItem { key: key("7").into(), lane: Lane::Full, work, waiter: Waiter::Run(run) };
    PageCommit {
        listed: vec![key("7").id],
        items: vec![item],
        checkpoint: Checkpoint { pages: 1, listed: true, ..Checkpoint::default() },
        last: true,
    }
}

async fn nothing_is_left(database: &TestDatabase) {
    for (sql, left) in [
        ("SELECT count(*)::text FROM tds_queue_live", "0"),
        ("SELECT count(*)::text FROM tds_queue_waiters", "0"),
        ("SELECT count(*)::text FROM tds_inbox_events WHERE status <> 'completed' OR open_items <> 0", "0"),
        ("SELECT count(*)::text FROM tds_sync_runs WHERE status <> 'completed' OR open_items <> 0", "0"),
    ] {
        assert_eq!(text(database, sql).await, left, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_without_changes_that_is_folded_in_while_its_item_ends_ends_with_it() {
    for version in [5, 4] {
        let (database, store) = store().await;
        let claimed = claimed_with_event(&store).await;
        let settlements = complete(&claimed, Outcome::Applied);
        let (attaching, ending) = (later_delivery(&store, version), settling(&store, settlements));
        let ((), settled) = interleave(&database, attaching, ending).await;
        assert_eq!((settled.accepted, settled.again, settled.fenced), (1, 0, 0), "it does not run again");
        nothing_is_left(&database).await;
        let outcomes = "SELECT string_agg(outcome, ' ' ORDER BY id) FROM tds_inbox_events";
        assert_eq!(text(&database, outcomes).await, "applied superseded");
        assert_eq!(text(&database, "SELECT outcome FROM tds_queue_done").await, "applied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_with_changes_that_is_folded_in_while_its_item_ends_makes_it_run_again() {
    let (database, store) = store().await;
    let settlements = complete(&claimed_with_event(&store).await, Outcome::Applied);
    let (attaching, ending) = (later_delivery(&store, 6), settling(&store, settlements));
    let ((), settled) = interleave(&database, attaching, ending).await;
    assert_eq!((settled.accepted, settled.again), (1, 1));
    let again = claim(&store, 1).await;
    assert_eq!(again[0].work, work(6, "{}"));
    store.settle(complete(&again, Outcome::Applied)).await.expect("settled");
    nothing_is_left(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_page_is_overtaken_by_the_end_of_its_item_ends() {
    let (database, store) = store().await;
    let claimed = claimed_with_event(&store).await;
    let lease = started(&store).await;
    let committing = {
        let store = store.clone();
        async move {
            let page = last_page(lease.run.id, work(4, "{}"));
            store.commit_page(lease.run.id, lease.token, page).await.expect("committed");
        }
    };
    let ending = settling(&store, complete(&claimed, Outcome::Applied));
    interleave(&database, committing, ending).await;
    nothing_is_left(&database).await;
    assert_eq!(text(&database, "SELECT processed_items::text FROM tds_sync_runs").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_an_item_a_delivery_that_is_folded_in_meanwhile_is_not_left_behind() {
    let ends = [
        Settle::Retry { after: Duration::ZERO, error: "away".to_owned() },
        Settle::Release { after: Duration::ZERO, fetch: false, reason: None },
        Settle::DeadLetter { error: "poison".to_owned() },
        Settle::Redirect { to: tds_core::record::EntityType::from_static("stock"), work: work(5, "{}") },
    ];
    for settle in ends {
        let (database, store) = store().await;
        let claimed = claimed_with_event(&store).await;
        let lease = Lease { id: claimed[0].id, token: claimed[0].token };
        let is_dead = matches!(settle, Settle::DeadLetter { .. });
        let settlement = Settlement { lease, generation: claimed[0].generation, settle };
        let (attaching, ending) = (later_delivery(&store, 5), settling(&store, vec![settlement]));
        interleave(&database, attaching, ending).await;
        if is_dead {
            assert_eq!(
                text(&database, "SELECT count(*)::text FROM tds_inbox_events WHERE status = 'failed'").await,
                "2"
            );
            store.retry(&ItemFilter::default()).await.expect("retried");
        }
        let again = eventually(|| claim(&store, 1)).await;
        store.settle(complete(&again, Outcome::Applied)).await.expect("settled");
        nothing_is_left(&database).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_discarded_while_a_delivery_is_folded_in_takes_it_along() {
    for by_script in [false, true] {
        let (database, store) = store().await;
        store.enqueue(vec![item("7", work(5, "{}"))]).await.expect("queued");
        let discarding = {
            let (store, pool) = (store.clone(), database.database().pool().clone());
            async move {
                if by_script {
                    let delete = sqlx::query("DELETE FROM tds_sync_queue WHERE status = 'pending'");
                    delete.execute(&pool).await.expect("deleted");
                } else {
                    store.discard(&ItemFilter::default()).await.expect("discarded");
                }
            }
        };
        interleave(&database, later_delivery(&store, 5), discarding).await;
        if text(&database, "SELECT count(*)::text FROM tds_queue_live").await == "1" {
            // Work that was added after the operator's read stays.
            let rest = claim(&store, 1).await;
            store.settle(complete(&rest, Outcome::Applied)).await.expect("settled");
        }
        nothing_is_left(&database).await;
    }
}
