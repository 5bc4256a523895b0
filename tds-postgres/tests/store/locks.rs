//! Tests with a row that another session has locked, for example by an uncommitted UPDATE in psql: its record waits,
//! and no other record does.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tds_core::{
    error::{ErrorKind, Retry},
    inbox::Inbox as _,
    queue::{ClaimRequest, ClaimScope, Lease, NewItem, Outcome, Queue as _, Waiter, WorkerId},
    record::RecordId,
    runs::{Checkpoint, NewRun, PageCommit, RunId, RunLease, RunType, SyncRun as _, SyncRunOperator as _},
};
use tds_postgres::{PgStore, testkit::TestDatabase};
use tokio::time::{Instant, timeout};

use crate::support::{PRODUCTS, claim, complete, event, eventually, item, key, store, text, work};

/// A limit that is far below the former wait for a lock, and long enough for a busy machine.
const SOON: Duration = Duration::from_secs(6);
/// No sender waits longer than this for its answer.
const AT_MOST: Duration = Duration::from_secs(12);

/// Another session, which leaves its transaction open.
struct Other(PgConnection);

impl Other {
    async fn holds(database: &TestDatabase, statement: &'static str) -> Self {
        let mut connection = PgConnection::connect(database.url()).await.expect("connects");
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.expect("begins");
        sqlx::raw_sql(statement).execute(&mut connection).await.expect("locked");
        Self(connection)
    }

    async fn lets_go(mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.0).await.expect("rolled back");
    }
}

const FIRST: &str = "UPDATE tds_queue_live SET priority = priority WHERE zoho_entity_id = '1'";

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_locked_record_wait_alone_and_are_stored_when_it_is_free() {
    let (database, store) = store().await;
    store.accept(event("1", work(1, "1"))).await.expect("stored");
    let other = Other::holds(&database, FIRST).await;
    let accept = |name: String, record: &str, version: i64| {
        let (store, mut event) = (store.clone(), event(record, work(version, "2")));
        event.event_id = name;
        tokio::spawn(async move { store.accept(event).await })
    };
    let locked: Vec<_> = (0..3).map(|n| accept(format!("locked-{n}"), "1", 2 + n)).collect();
    let began = Instant::now();
    let free: Vec<_> = (0..8).map(|n| accept(format!("free-{n}"), &format!("free-{n}"), 1)).collect();
    for free in free {
        free.await.expect("no panic").expect("stored");
    }
    assert!(began.elapsed() < SOON, "the others waited for {:?}", began.elapsed());
    assert!(locked.iter().all(|locked| !locked.is_finished()), "a locked record was written");
    other.lets_go().await;
    for locked in locked {
        let accepted = timeout(SOON, locked).await.expect("in time").expect("no panic").expect("stored");
        assert!(!accepted.duplicate);
    }
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_inbox_events").await, "12");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_record_that_stays_locked_is_refused_in_time_and_stored_when_it_comes_again() {
    let (database, store) = store().await;
    store.accept(event("1", work(1, "1"))).await.expect("stored");
    let other = Other::holds(&database, FIRST).await;
    let mut again = event("1", work(2, "2"));
    again.event_id = "again".to_owned();
    let refused =
        timeout(AT_MOST, store.accept(again.clone())).await.expect("an answer").expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.chain().contains("locked"), "{}", refused.chain());
    other.lets_go().await;
    assert!(!store.accept(again).await.expect("stored").duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_refuses_events_in_time_and_nothing_stays_behind() {
    let (database, store) = store().await;
    let other = Other::holds(&database, "LOCK TABLE tds_inbox_events").await;
    let waiting: Vec<_> = (0..40)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                timeout(AT_MOST, store.accept(event(&n.to_string(), work(1, "1")))).await.expect("an answer")
            })
        })
        .collect();
    for waiting in waiting {
        let refused = waiting.await.expect("no panic").expect_err("the table is locked");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
    }
    other.lets_go().await;
    store.accept(event("1", work(1, "1"))).await.expect("stored");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_inbox_events").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_renewed_beside_a_locked_item() {
    let (database, store) = store().await;
    store.enqueue(vec![item("1", work(1, "1")), item("2", work(1, "1"))]).await.expect("queued");
    let claimed = claim(&store, 2).await;
    let _other = Other::holds(&database, FIRST).await;
    let leases: Vec<Lease> = claimed.iter().map(|it| Lease { id: it.id, token: it.token }).collect();
    let hour = Duration::from_secs(3600);
    let kept = timeout(SOON, store.renew(&leases, hour)).await.expect("in time").expect("renewed");
    assert_eq!(kept.len(), 2, "a locked item is still ours");
    let sql = "SELECT string_agg(zoho_entity_id, ',') FROM tds_queue_live
        WHERE lease_expires_at > now() + interval '30 min'";
    assert_eq!(text(&database, sql).await, "2");
    timeout(SOON, store.mark_processing(&leases)).await.expect("in time").expect("shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settling_leaves_out_what_is_locked_and_names_it() {
    let (database, store) = store().await;
    let items = (1..=100).map(|n| item(&n.to_string(), work(1, "1"))).collect();
    store.enqueue(items).await.expect("queued");
    let claimed = claim(&store, 100).await;
    let other = Other::holds(&database, FIRST).await;
    let settlements = complete(&claimed, Outcome::Applied);
    let settled = timeout(SOON, store.settle(settlements.clone())).await.expect("in time").expect("settled");
    let locked = claimed.iter().find(|it| it.key == key("1").into()).expect("claimed").token;
    assert_eq!((settled.accepted, settled.fenced, settled.locked), (99, 0, vec![locked]));
    other.lets_go().await;
    let rest = settlements.into_iter().filter(|it| it.lease.token == locked).collect();
    assert_eq!(store.settle(rest).await.expect("settled").accepted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_queued_beside_a_locked_item() {
    let (database, store) = store().await;
    store.enqueue(vec![item("1", work(1, "1"))]).await.expect("queued");
    let other = Other::holds(&database, FIRST).await;
    let queueing = tokio::spawn({
        let store = store.clone();
        async move { store.enqueue((1..=200).map(|n| item(&n.to_string(), work(2, "2"))).collect()).await }
    });
    let queued = eventually(async || {
        let claimed = claim(&store, 500).await;
        claimed.into_iter().map(|it| it.key).collect()
    });
    assert!(!timeout(SOON, queued).await.expect("in time").contains(&key("1").into()));
    assert!(!queueing.is_finished(), "it waits for the locked one");
    other.lets_go().await;
    timeout(SOON, queueing).await.expect("in time").expect("no panic").expect("queued");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_waits_for_a_locked_record_but_the_work_of_the_others_does_not() {
    let (database, store) = store().await;
    store.enqueue(vec![item("1", work(1, "1"))]).await.expect("queued");
    let lease = claimed_run(&store).await;
    let run = &lease.run;
    let other = Other::holds(&database, FIRST).await;
    let page = page(run.id);
    let waits = store.commit_page(run.id, lease.token, page.clone()).await.expect_err("locked");
    assert_eq!(waits.kind(), ErrorKind::Locked);
    assert!(matches!(waits.retry(), Retry::Throttled { .. }), "{waits:?}");
    let sql = "SELECT string_agg(zoho_entity_id, ',' ORDER BY zoho_entity_id) FROM tds_queue_live";
    assert_eq!(text(&database, sql).await, "1,2,3");
    other.lets_go().await;
    store.commit_page(run.id, lease.token, page).await.expect("committed");
    assert_eq!(text(&database, "SELECT open_items::text FROM tds_sync_runs").await, "3");
    // The work that was queued ahead of its page belongs to the run, and to no operator. Item 1 was queued before.
    store.cancel(run.id).await.expect("cancelled");
    assert_eq!(text(&database, sql).await, "1");
}

async fn claimed_run(store: &PgStore) -> RunLease {
    let run = NewRun {
        entity: PRODUCTS,
        run_type: RunType::Full,
        source_type: "zoho".into(),
        since: None,
        selection: None,
        verify: None,
        requested_by: "test".into(),
    };
    store.create(run).await.expect("created");
    store.claim_run(&WorkerId("test".into()), SOON, None).await.expect("claimed").expect("a run")
}

/// Returns a page of three records, all of which need work.
fn page(run: RunId) -> PageCommit {
    let ids = ["1", "2", "3"];
    PageCommit {
        items: ids.iter().map(|id| NewItem { waiter: Waiter::Run(run), ..item(id, work(2, "2")) }).collect(),
        listed: ids.iter().map(|id| RecordId::new(*id)).collect(),
        checkpoint: Checkpoint { pages: 1, ..Checkpoint::default() },
        last: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_locked_while_its_run_is_cancelled_is_taken_out_when_the_lock_ends() {
    let (database, store) = store().await;
    let lease = claimed_run(&store).await;
    store.commit_page(lease.run.id, lease.token, page(lease.run.id)).await.expect("committed");
    let other = Other::holds(&database, FIRST).await;
    store.cancel(lease.run.id).await.expect("cancelled");
    let left = "SELECT string_agg(zoho_entity_id, ',') FROM tds_queue_live";
    assert_eq!(text(&database, left).await, "1", "a locked item is not waited for");
    store.finish_cancelling().await.expect("looked");
    assert_eq!(text(&database, left).await, "1");
    other.lets_go().await;
    assert!(claim(&store, 10).await.is_empty(), "nobody works on it meanwhile");
    let suspect = "UPDATE tds_queue_live SET lost_leases = 10, run_at = now() - interval '2 minutes'";
    sqlx::raw_sql(suspect).execute(database.database().pool()).await.expect("suspect");
    assert!(claim(&store, 10).await.is_empty(), "nor alone, if its leases were lost again and again");
    let scope = ClaimScope { carried: true, ..ClaimScope::default() };
    let request = ClaimRequest { scope, ..ClaimRequest::new(WorkerId("test".into()), 10, SOON) };
    assert!(store.claim(&request).await.expect("claim").is_empty());
    store.finish_cancelling().await.expect("looked");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "0");
    assert_eq!(text(&database, "SELECT open_items::text FROM tds_sync_runs").await, "0");
    // The items that were removed late are put back as well.
    store.resume(lease.run.id).await.expect("resumed");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "3");
    assert_eq!(text(&database, "SELECT open_items::text FROM tds_sync_runs").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_only_cancelled_runs_want_leave_the_queue_with_the_last_of_them() {
    let (database, store) = store().await;
    let first = claimed_run(&store).await;
    store.commit_page(first.run.id, first.token, page(first.run.id)).await.expect("committed");
    let other = Other::holds(&database, FIRST).await;
    store.cancel(first.run.id).await.expect("cancelled");
    other.lets_go().await;
    let second = claimed_run(&store).await;
    store.commit_page(second.run.id, second.token, page(second.run.id)).await.expect("committed");
    store.cancel(second.run.id).await.expect("cancelled");
    store.finish_cancelling().await.expect("looked");
    assert_eq!(text(&database, "SELECT count(*)::text FROM tds_queue_live").await, "0");
    assert_eq!(text(&database, "SELECT string_agg(open_items::text, ' ') FROM tds_sync_runs").await, "0 0");
    for run in [first.run.id, second.run.id] {
        store.resume(run).await.expect("resumed");
        let waits = format!("SELECT open_items::text FROM tds_sync_runs WHERE id = {run}");
        assert_eq!(text(&database, &waits).await, "3");
        store.cancel(run).await.expect("cancelled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_asks_for_waits_for_another_operators_lock() {
    let (database, store) = store().await;
    let lease = claimed_run(&store).await;
    let other = Other::holds(&database, "SELECT FROM tds_sync_runs FOR UPDATE").await;
    let cancel = tokio::spawn({
        let (store, run) = (store.clone(), lease.run.id);
        async move { store.cancel(run).await }
    });
    // The pause is longer than three waits for a lock.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!cancel.is_finished(), "nobody may change the run");
    other.lets_go().await;
    timeout(AT_MOST, cancel).await.expect("in time").expect("no panic").expect("cancelled");
}
