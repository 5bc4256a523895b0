//! Cases of [`crate::runs::SyncRun`] about records that a full sync did not find.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::time::Duration;

use super::{
    harness::*,
    mirror::{PRODUCT_SCHEMA, applied, apply},
    run::{claimed, commit, finish_one, full_sync, page, reaches, run, second, started},
};
use crate::{
    error::ErrorKind,
    record::{Interval, Observed, RecordBuilder, RecordId},
    runs::{RunEnd, RunStatus},
};

/// Writes products to the target before a run begins.
async fn known(harness: &dyn Harness, ids: &[&str]) {
    for id in ids {
        let read = RecordBuilder::new(&PRODUCTS, id).version(at(1)).read(at(10), at(11));
        applied(harness, &PRODUCT_SCHEMA, read).await;
    }
    harness.advance(Duration::from_millis(20)).await;
}

pub async fn missing_records_are_those_that_were_neither_listed_nor_read_since_the_run_began(
    harness: &dyn Harness,
) {
    known(harness, &["listed", "gone", "deleted", "seen"]).await;
    let absent = crate::record::Read {
        content: crate::record::Content::Absent,
        ..RecordBuilder::new(&PRODUCTS, "deleted").read(at(20), at(21))
    };
    apply(harness, &PRODUCT_SCHEMA, absent).await.expect("applied");
    harness.advance(Duration::from_millis(20)).await;
    let lease = started(harness, LONG).await;
    harness.advance(Duration::from_millis(20)).await;
    let after = lease.run.started_at.expect("it was started") + time::Duration::milliseconds(5);
    let later = Observed::Call(Interval { began: after, ended: after });
    let again =
        RecordBuilder::new(&PRODUCTS, "seen").version(at(1)).seen(crate::record::Shape::Detail, later);
    applied(harness, &PRODUCT_SCHEMA, again).await;
    let new = RecordBuilder::new(&PRODUCTS, "new").version(at(1)).read(at(10), at(11));
    applied(harness, &PRODUCT_SCHEMA, new).await;
    commit(harness, &lease, page(lease.run.id, &["listed"], 0, false)).await;
    let missing = harness.stores().runs.missing(lease.run.id, &PRODUCTS).await.expect("missing");
    assert_eq!(missing, (4, vec![RecordId::new("gone")]));
}

pub async fn held_deletions_end_the_run_with_errors_and_wait_for_an_operator(harness: &dyn Harness) {
    let case = Case(harness);
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    let gone = vec![RecordId::new("1"), RecordId::new("2")];
    runs.end_run(
        id,
        lease.token,
        RunEnd::DeletionsHeld { ids: gone, reason: "2 of 3 were not listed".to_owned() },
    )
    .await
    .expect("hold_deletions");
    commit(harness, &lease, page(id, &["3"], 0, true)).await;
    let held = reaches(harness, id, RunStatus::CompletedWithErrors).await;
    assert_eq!((held.held_deletions, held.total_items), (2, 1));
    assert!(held.error_log.expect("a reason").contains("2 of 3 were not listed"));
    case.nothing_to_claim().await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("cursor").cursor, Some(at(1000)));
    assert_eq!(runs.confirm_deletions(id).await.expect("confirm"), 2);
    let active = run(harness, id).await;
    assert_eq!((active.status, active.held_deletions), (RunStatus::Running, 0));
    assert!(claimed(harness, LONG).await.is_none(), "its list is not read again");
    finish_one(harness).await;
    finish_one(harness).await;
    let ended = reaches(harness, id, RunStatus::Completed).await;
    assert_eq!(ended.processed_items, ended.total_items);
    assert_eq!(runs.confirm_deletions(id).await.expect("confirm"), 0, "there is nothing left to release");
}

pub async fn failed_records_without_items_end_the_run_with_errors(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    for failed in [1, 2] {
        let end = RunEnd::RecordsFailed { failed, reason: format!("{failed} images are too long") };
        runs.end_run(id, lease.token, end).await.expect("stored");
    }
    assert_eq!(run(harness, id).await.status, RunStatus::Running, "the last page is still to come");
    commit(harness, &lease, page(id, &["1", "2", "3"], 0, true)).await;
    let ended = reaches(harness, id, RunStatus::CompletedWithErrors).await;
    assert_eq!((ended.processed_items, ended.failed_items, ended.held_deletions), (3, 2, 0));
    assert_eq!(ended.error_log.as_deref(), Some("2 images are too long"));
}

pub async fn held_deletions_are_not_released_beside_an_active_run(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let (runs, id) = (&harness.stores().runs, lease.run.id);
    runs.end_run(
        id,
        lease.token,
        RunEnd::DeletionsHeld { ids: vec![RecordId::new("1")], reason: "many".to_owned() },
    )
    .await
    .expect("hold_deletions");
    commit(harness, &lease, page(id, &[], 0, true)).await;
    reaches(harness, id, RunStatus::CompletedWithErrors).await;
    let active = runs.create(full_sync(PRODUCTS)).await.expect("create");
    assert_eq!(runs.confirm_deletions(id).await.expect_err("refused").kind(), ErrorKind::Conflict);
    runs.cancel(active.id).await.expect("cancel");
    assert_eq!(runs.confirm_deletions(id).await.expect("confirm"), 1);
}

pub async fn the_findings_of_the_sweep_are_committed_as_one_more_page(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    let mut listed = page(id, &["1"], 0, false);
    listed.checkpoint.listed = true;
    let mut sweep =
        crate::runs::PageCommit { checkpoint: listed.checkpoint.clone(), ..page(id, &["gone"], 1, true) };
    sweep.checkpoint.pages += 1;
    commit(harness, &lease, listed).await;
    commit(harness, &lease, sweep).await;
    finish_one(harness).await;
    let ended = reaches(harness, id, RunStatus::Completed).await;
    assert_eq!((ended.total_items, ended.processed_items), (2, 2));
}

pub async fn a_page_that_was_committed_before_changes_nothing(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["1"], 1, false)).await;
    commit(harness, &lease, page(id, &["1"], 1, false)).await;
    let run = run(harness, id).await;
    assert_eq!((run.total_items, run.pages), (1, 1));
    finish_one(harness).await;
    Case(harness).nothing_to_claim().await;
}

pub async fn a_record_on_its_way_that_is_listed_again_is_waited_for(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["1"], 1, false)).await;
    // The record is listed again, this time without changes.
    commit(harness, &lease, second(page(id, &["1", "2"], 0, true))).await;
    let before = run(harness, id).await;
    assert_eq!((before.status, before.total_items, before.processed_items), (RunStatus::Running, 2, 1));
    finish_one(harness).await;
    let ended = reaches(harness, id, RunStatus::Completed).await;
    assert_eq!((ended.processed_items, ended.unchanged_items), (2, 1));
}

pub async fn a_record_that_is_listed_again_and_then_fails_counts_as_failed(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    let id = lease.run.id;
    commit(harness, &lease, page(id, &["1"], 0, false)).await;
    commit(harness, &lease, second(page(id, &["1"], 1, true))).await;
    let claimed = Case(harness).claim().await;
    Case(harness).settle(&claimed, crate::queue::Settle::DeadLetter { error: "no".to_owned() }).await;
    let ended = reaches(harness, id, RunStatus::CompletedWithErrors).await;
    assert_eq!((ended.total_items, ended.processed_items, ended.failed_items), (1, 1, 1));
}
