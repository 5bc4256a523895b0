//! Cases of [`crate::runs::SyncRun`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

mod cancel;
mod cursor;

use std::time::Duration;

pub use self::{cancel::*, cursor::*};
use super::harness::*;
use crate::{
    error::ErrorKind,
    inbox::EventStatus,
    queue::{
        ClaimRequest, ClaimScope, Claimed, ItemFilter, ItemStatus, Lane, NewItem, Outcome, Settle, Waiter,
        Work, WorkerId,
    },
    record::{DateRange, EntityType, RecordId},
    runs::{
        Checkpoint, DetailWay, ListCost, NewRun, PageCommit, Run, RunEnd, RunFilter, RunId, RunLease,
        RunPlan, RunStatus, RunType, Selection,
    },
    source::ListOrder,
};

pub(super) fn full_sync(entity: EntityType) -> NewRun {
    NewRun::new(entity, RunType::Full, "zoho", "case")
}

pub(super) fn plan() -> RunPlan {
    RunPlan {
        reason: "The list is read whole.".to_owned(),
        listing: ListOrder::Whole,
        ways: vec![ListCost { way: ListOrder::Whole, calls: Some(3) }],
        probe_calls: 0,
        details: DetailWay::Single,
        expected_details: None,
        expected_calls: None,
    }
}

pub(super) fn checkpoint(pages: i64) -> Checkpoint {
    Checkpoint {
        cursor: Some(format!("page {}", pages + 1)),
        window_from: None,
        window_to: Some(at(1000)),
        pages,
        listed: false,
        resumed: false,
    }
}

/// Turns the page into the second page of its run.
pub(super) fn second(page: PageCommit) -> PageCommit {
    let checkpoint = Checkpoint { listed: page.last, ..checkpoint(2) };
    PageCommit { checkpoint, ..page }
}

/// Returns a page that lists these records, of which the first `queued` need work.
pub(super) fn page(run: RunId, ids: &[&str], queued: usize, last: bool) -> PageCommit {
    let item = |id: &&str| NewItem {
        key: product(id),
        lane: Lane::Full,
        work: Work::fetch(),
        waiter: Waiter::Run(run),
    };
    PageCommit {
        listed: ids.iter().map(|id| RecordId::new(*id)).collect(),
        items: ids.iter().take(queued).map(item).collect(),
        checkpoint: Checkpoint { listed: last, ..checkpoint(1) },
        last,
    }
}

pub(super) async fn started(harness: &dyn Harness, lease: Duration) -> RunLease {
    harness.stores().runs.create(full_sync(PRODUCTS)).await.expect("create");
    claimed(harness, lease).await.expect("a run to claim")
}

pub(super) async fn claimed(harness: &dyn Harness, lease: Duration) -> Option<RunLease> {
    harness.stores().runs.claim_run(&WorkerId("case".into()), lease, None).await.expect("claim_run")
}

pub(super) async fn run(harness: &dyn Harness, id: RunId) -> Run {
    harness.stores().runs.get_run(id).await.expect("get_run").expect("the run exists")
}

pub(super) async fn commit(harness: &dyn Harness, lease: &RunLease, page: PageCommit) {
    harness.stores().runs.commit_page(lease.run.id, lease.token, page).await.expect("commit_page");
}

pub(super) async fn reaches(harness: &dyn Harness, id: RunId, status: RunStatus) -> Run {
    let look = async || Some(run(harness, id).await).filter(|run| run.status == status);
    Case(harness).until(&format!("run {}", status.as_str()), look).await
}

pub(super) async fn finish_one(harness: &dyn Harness) {
    let item = Case(harness).claim().await;
    Case(harness).settle(&item, Settle::Complete(Outcome::Applied)).await;
}

pub async fn at_most_one_run_of_an_entity_type_is_active(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    let first = runs.create(full_sync(PRODUCTS)).await.expect("create");
    assert_eq!((first.status, first.total_items), (RunStatus::Pending, 0));
    assert_eq!(runs.create(full_sync(PRODUCTS)).await.expect_err("refused").kind(), ErrorKind::Conflict);
    runs.create(full_sync(CUSTOMERS)).await.expect("another entity type");
    runs.cancel(first.id).await.expect("cancel");
    runs.create(full_sync(PRODUCTS)).await.expect("the first has ended");
}

pub async fn a_run_is_leased_to_one_process_at_a_time(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    assert_eq!((lease.run.status, lease.checkpoint), (RunStatus::Running, Checkpoint::default()));
    assert!(lease.run.started_at.is_some());
    assert!(claimed(harness, LONG).await.is_none());
}

pub async fn a_run_whose_lease_ran_out_is_taken_over_at_its_last_committed_page(harness: &dyn Harness) {
    let first = started(harness, LONG).await;
    let committed = page(first.run.id, &["1", "2"], 0, false);
    commit(harness, &first, committed.clone()).await;
    harness.stores().runs.renew_run(first.run.id, first.token, SHORT, None).await.expect("renew_run");
    harness.advance(LONGER).await;
    let second = claimed(harness, LONG).await.expect("taken over");
    assert_eq!((second.run.id, &second.checkpoint), (first.run.id, &committed.checkpoint));
    assert_eq!((second.run.total_items, second.run.processed_items), (2, 2));
    assert_ne!(second.token, first.token);
}

pub async fn every_write_of_a_listing_proves_the_lease(harness: &dyn Harness) {
    let old = started(harness, SHORT).await;
    harness.advance(LONGER).await;
    let current = claimed(harness, LONG).await.expect("taken over");
    let (runs, id) = (&harness.stores().runs, old.run.id);
    let results = [
        runs.renew_run(id, old.token, LONG, None).await,
        runs.commit_page(id, old.token, page(id, &["1"], 1, true)).await.map(drop),
        runs.end_run(
            id,
            old.token,
            RunEnd::DeletionsHeld { ids: vec![RecordId::new("1")], reason: "many".to_owned() },
        )
        .await,
        runs.renew_run(id, old.token, LONG, Some(&plan())).await,
        runs.end_run(id, old.token, RunEnd::Failed { error: "broken".to_owned() }).await,
    ];
    for result in results {
        assert_eq!(result.expect_err("refused").kind(), ErrorKind::Conflict);
    }
    let now = run(harness, id).await;
    assert_eq!((now.status, now.total_items, now.held_deletions), (RunStatus::Running, 0, 0));
    assert_eq!(now.plan, None);
    Case(harness).nothing_to_claim().await;
    commit(harness, &current, page(id, &["1"], 0, true)).await;
}

pub async fn a_run_that_is_given_back_can_be_taken_at_once(harness: &dyn Harness) {
    let first = started(harness, LONG).await;
    harness
        .stores()
        .runs
        .renew_run(first.run.id, first.token, Duration::ZERO, None)
        .await
        .expect("renew_run");
    let second = Case(harness).until("the run", async || claimed(harness, LONG).await).await;
    assert_eq!(second.run.id, first.run.id);
}

pub async fn a_page_is_committed_with_its_items_counts_and_checkpoint(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1", "2", "3"], 1, false)).await;
    let now = run(harness, lease.run.id).await;
    assert_eq!((now.total_items, now.processed_items, now.unchanged_items, now.pages), (3, 2, 2, 1));
    assert!(!now.listing_done);
    assert_eq!(case.claim().await.key, product("1"));
    case.nothing_to_claim().await;
}

pub async fn a_run_ends_when_its_list_was_read_and_every_listed_record_has_ended(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["1", "2"], 2, false)).await;
    finish_one(harness).await;
    finish_one(harness).await;
    commit(harness, &lease, second(page(id, &["3"], 1, true))).await;
    let now = run(harness, id).await;
    assert_eq!((now.status, now.listing_done, now.total_items), (RunStatus::Running, true, 3));
    assert!(claimed(harness, LONG).await.is_none(), "there is nothing to list any more");
    finish_one(harness).await;
    let ended = reaches(harness, id, RunStatus::Completed).await;
    assert_eq!((ended.processed_items, ended.failed_items), (3, 0));
    assert_eq!(ended.progress_percent(), 100.0);
    assert!(ended.completed_at.is_some());
}

pub async fn a_run_that_finds_nothing_to_do_ends_with_its_last_page(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1"], 0, true)).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    let empty = started(harness, LONG).await;
    commit(harness, &empty, page(empty.run.id, &[], 0, true)).await;
    reaches(harness, empty.run.id, RunStatus::Completed).await;
}

pub async fn a_record_that_is_listed_twice_counts_once(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["1", "2"], 2, false)).await;
    finish_one(harness).await;
    finish_one(harness).await;
    commit(harness, &lease, second(page(id, &["2", "3"], 2, true))).await;
    finish_one(harness).await;
    finish_one(harness).await;
    let ended = reaches(harness, id, RunStatus::Completed).await;
    assert_eq!((ended.total_items, ended.processed_items), (3, 3));
}

pub async fn work_of_a_run_that_is_folded_into_a_waiting_item_counts_too(harness: &dyn Harness) {
    let case = Case(harness);
    case.accept(event("a", vec![(product("1"), pushed(9, "{}"))])).await;
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1"], 1, true)).await;
    assert_eq!(run(harness, lease.run.id).await.status, RunStatus::Running);
    finish_one(harness).await;
    case.nothing_to_claim().await;
    let ended = reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(ended.processed_items, 1);
}

pub async fn a_run_that_lists_an_older_version_of_a_claimed_item_is_notified_of_its_end(
    harness: &dyn Harness,
) {
    let case = Case(harness);
    case.accept(event("a", vec![(product("1"), pushed(9, "{}"))])).await;
    let claimed = case.claim().await;
    let lease = started(harness, LONG).await;
    // The claimed work covers the older version, so the run adds a waiter to the item and no new work.
    let mut listing = page(lease.run.id, &["1"], 1, true);
    listing.items[0].work = pushed(0, "{}");
    commit(harness, &lease, listing).await;
    assert_eq!(run(harness, lease.run.id).await.status, RunStatus::Running);
    case.settle(&claimed, Settle::Complete(Outcome::Applied)).await;
    case.nothing_to_claim().await;
    let ended = reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(ended.processed_items, 1);
}

pub async fn a_run_with_dead_letters_ends_completed_with_errors(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1", "2"], 2, true)).await;
    finish_one(harness).await;
    let item = case.claim().await;
    case.settle(&item, Settle::DeadLetter { error: "broken".into() }).await;
    let ended = reaches(harness, lease.run.id, RunStatus::CompletedWithErrors).await;
    assert_eq!((ended.total_items, ended.processed_items, ended.failed_items), (2, 2, 1));
}

/// Runs a sync over these pages of records that need no work. Returns the progress after each page.
async fn progress_of(harness: &dyn Harness, pages: &[&[&str]]) -> Vec<f64> {
    let (lease, mut shown) = (started(harness, LONG).await, Vec::new());
    for (index, ids) in pages.iter().enumerate() {
        let mut commit = page(lease.run.id, ids, 0, index + 1 == pages.len());
        commit.checkpoint.pages = i64::try_from(index).expect("few pages") + 1;
        harness.stores().runs.commit_page(lease.run.id, lease.token, commit).await.expect("commit_page");
        shown.push(run(harness, lease.run.id).await.progress_percent());
    }
    shown
}

pub async fn progress_is_measured_against_the_last_run_of_the_kind_that_read_its_list_to_the_end(
    harness: &dyn Harness,
) {
    assert_eq!(
        progress_of(harness, &[&["1"], &["2", "3", "4"]]).await,
        [99.0, 100.0],
        "nothing to compare with"
    );
    assert_eq!(progress_of(harness, &[&["1", "2"], &["3", "4", "5"], &["6"]]).await, [50.0, 99.0, 100.0]);
    // A run with dead letters has also read its list to the end.
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1", "2", "3", "4", "5", "6", "7", "8"], 1, true)).await;
    let item = Case(harness).claim().await;
    Case(harness).settle(&item, Settle::DeadLetter { error: "broken".to_owned() }).await;
    reaches(harness, lease.run.id, RunStatus::CompletedWithErrors).await;
    assert_eq!(progress_of(harness, &[&["2", "3"], &[]]).await, [25.0, 100.0]);
}

pub async fn a_commit_says_how_many_records_the_run_has_listed(harness: &dyn Harness) {
    let (runs, lease) = (&harness.stores().runs, started(harness, LONG).await);
    let first = page(lease.run.id, &["1", "2"], 1, false);
    for _time in 0..2 {
        let listed = runs.commit_page(lease.run.id, lease.token, first.clone()).await.expect("commit_page");
        assert_eq!(listed, 2, "even if the page was committed before");
    }
    let again = second(page(lease.run.id, &["2", "3"], 0, true));
    assert_eq!(runs.commit_page(lease.run.id, lease.token, again).await.expect("commit_page"), 3);
}

pub async fn runs_are_listed_newest_first(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    let first = runs.create(full_sync(PRODUCTS)).await.expect("create").id;
    let second = runs.create(full_sync(CUSTOMERS)).await.expect("create").id;
    runs.cancel(first).await.expect("cancel");
    let third = runs.create(full_sync(PRODUCTS)).await.expect("create").id;
    let ids = async |filter: RunFilter, limit| -> Vec<RunId> {
        let listed = runs.list_runs(&filter, limit, None).await.expect("list_runs").items;
        listed.into_iter().map(|run| run.id).collect()
    };
    assert_eq!(ids(RunFilter::default(), 10).await, [third, second, first]);
    assert_eq!(ids(RunFilter::default(), 2).await, [third, second]);
    assert_eq!(ids(RunFilter { entity: Some(PRODUCTS), ..RunFilter::default() }, 10).await, [third, first]);
    let full = RunFilter { run_type: Some(RunType::Full), ..RunFilter::default() };
    let verify = RunFilter { run_type: Some(RunType::Verify), ..RunFilter::default() };
    assert_eq!((ids(full, 10).await.is_empty(), ids(verify, 10).await), (false, Vec::new()));
    let cancelled = RunFilter { status: Some(RunStatus::Cancelled), ..RunFilter::default() };
    assert_eq!(ids(cancelled, 10).await, [first]);
    let page = runs.list_runs(&RunFilter::default(), 2, None).await.expect("a page");
    let next = page.next_cursor.as_deref().expect("there are more");
    let rest = runs.list_runs(&RunFilter::default(), 2, Some(next)).await.expect("a page");
    assert_eq!(rest.items.iter().map(|run| run.id).collect::<Vec<_>>(), [first]);
    assert_eq!(rest.next_cursor, None);
    assert!(runs.list_runs(&RunFilter::default(), 2, Some("nonsense")).await.is_err());
}

pub async fn a_command_takes_only_the_runs_that_it_was_asked_for(harness: &dyn Harness) {
    let (runs, worker) = (&harness.stores().runs, WorkerId("command".into()));
    let theirs = runs.create(full_sync(PRODUCTS)).await.expect("create");
    let ours = runs.create(full_sync(CUSTOMERS)).await.expect("create");
    let taken = runs.claim_run(&worker, LONG, Some(&[ours.id])).await.expect("claim").expect("ours");
    assert_eq!((taken.run.id, taken.run.status), (ours.id, RunStatus::Running));
    assert!(runs.claim_run(&worker, LONG, Some(&[ours.id])).await.expect("claim").is_none(), "it is claimed");
    assert!(runs.claim_run(&worker, LONG, Some(&[])).await.expect("claim").is_none());
    let left = claimed(harness, LONG).await.expect("the other run is still there");
    assert_eq!(left.run.id, theirs.id);
}

pub async fn a_command_takes_only_items_that_its_runs_wait_for(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    case.enqueue(vec![new_item("pushed", pushed(1, "{}")), new_item("both", pushed(1, "{}"))]).await;
    commit(harness, &lease, page(lease.run.id, &["listed", "both"], 2, true)).await;
    let queue = &harness.stores().queue;
    let of = |run: RunId| {
        let scope = ClaimScope { runs: Some(vec![run]), carried: false };
        ClaimRequest { scope, ..request(10, LONG) }
    };
    let none = queue.claim(&of(RunId(lease.run.id.0 + 1))).await;
    assert_eq!(none.expect("claim"), []);
    let urgent = ClaimRequest { up_to: Lane::Webhook, ..of(lease.run.id) };
    let urgent = queue.claim(&urgent).await.expect("claim");
    let ids = |items: &[Claimed]| items.iter().map(|item| item.key.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&urgent), ["both"], "the webhook of the same record makes it urgent");
    let rest = queue.claim(&of(lease.run.id)).await.expect("claim");
    assert_eq!(ids(&rest), ["listed"]);
    let left = case.claim_now(10).await;
    assert_eq!(ids(&left), ["pushed"], "what nobody asked the command for");
}

pub async fn a_process_with_a_closed_gate_claims_only_items_that_carry_a_payload(harness: &dyn Harness) {
    let case = Case(harness);
    case.enqueue(vec![new_item("named", Work::fetch()), new_item("whole", pushed(1, "{}"))]).await;
    let queue = &harness.stores().queue;
    let scope = ClaimScope { runs: None, carried: true };
    let carried = ClaimRequest { scope, ..request(10, LONG) };
    let taken = queue.claim(&carried).await.expect("claim");
    assert_eq!(taken.iter().map(|item| item.key.clone()).collect::<Vec<_>>(), [product("whole")]);
    // The item needed a call after all. Without its payload it is left to other processes.
    let reason = Some("no token".to_owned());
    case.settle(&taken[0], Settle::Release { after: Duration::ZERO, fetch: true, reason }).await;
    assert_eq!(queue.claim(&carried).await.expect("claim"), []);
    let everything = queue.claim(&request(10, LONG)).await.expect("claim");
    assert_eq!(everything.len(), 2, "whoever may ask finds both due");
}
