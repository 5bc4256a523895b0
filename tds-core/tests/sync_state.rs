//! Tests of the changes that a read makes to the sync state of its record, and of the sets whose shrinking is
//! suspicious.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tds_core::{
    guard::{RereadReason, Suspect, SyncState, Verdict, guard, guard_sets, is_suspicious_shrink},
    record::{
        Content, EntityType, Fields, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
    },
};
use time::{Duration, OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const WHOLE: Verdict = Verdict::Apply { stable: true, volatile: true };

fn at(seconds: i64) -> OffsetDateTime {
    datetime!(2026-01-01 00:00 UTC) + Duration::seconds(seconds)
}

fn record(version: i64) -> Record {
    Record {
        entity: PRODUCTS,
        id: RecordId::new("1"),
        version: Some(at(version)),
        fields: Fields::from_iter([("name".to_owned(), json!(version))]),
        volatile: Fields::new(),
        children: BTreeMap::new(),
        moves: None,
        cut: BTreeSet::new(),
        raw: Payload::new("{}"),
    }
}

fn seen(record: Record, shape: Shape, observed: Observed) -> Read {
    let key = RecordKey::new(PRODUCTS, record.id.clone());
    Read {
        key,
        shape,
        observed,
        content: Content::Present(Box::new(record)),
        listed: None,
        follow: None,
        cause: None,
    }
}

fn call(began: i64, ended: i64) -> Observed {
    Observed::Call(Interval { began: at(began), ended: at(ended) })
}

fn detail(version: i64, began: i64) -> Read {
    seen(record(version), Shape::Detail, call(began, began + 1))
}

fn known(version: i64, began: i64) -> SyncState {
    SyncState::after(None, &detail(version, began), WHOLE).expect("a state")
}

#[test]
fn an_accepted_read_becomes_the_sync_state() {
    let read = seen(
        Record { volatile: Fields::from_iter([("balance".to_owned(), json!(3))]), ..record(1) },
        Shape::Detail,
        call(10, 11),
    );
    let state = SyncState::after(None, &read, WHOLE).expect("a state");
    assert_eq!((state.version, state.detail_version), (Some(at(1)), Some(at(1))));
    assert_eq!((state.detail_seen, state.volatile_seen), (Some(at(10)), Some(at(10))));
    assert!(state.detail_hash.is_some() && state.volatile_hash.is_some() && state.list_hash.is_none());
    assert!(!state.deleted && state.suspect.is_none());
    assert_eq!(guard(Some(&state), &read), Verdict::Unchanged);
}

#[test]
fn a_list_row_leaves_what_is_known_of_the_whole_record() {
    let before = known(1, 10);
    let row = seen(record(2), Shape::List, call(20, 21));
    let after = SyncState::after(Some(&before), &row, WHOLE).expect("a change");
    assert_eq!((after.version, after.detail_version), (Some(at(2)), Some(at(1))));
    assert_eq!((&after.detail_hash, after.list_hash.is_some()), (&before.detail_hash, true));
}

#[test]
fn a_stale_or_tied_read_leaves_the_sync_state_unchanged() {
    let before = known(5, 10);
    for verdict in
        [Verdict::Stale, Verdict::Reread(RereadReason::Tie), Verdict::Reread(RereadReason::Resurrection)]
    {
        assert_eq!(SyncState::after(Some(&before), &detail(3, 20), verdict), None);
        assert_eq!(SyncState::after(None, &detail(3, 20), verdict), None);
    }
}

#[test]
fn the_same_content_moves_the_observation_time_forward_and_never_back() {
    let before = known(1, 10);
    let later = SyncState::after(Some(&before), &detail(1, 20), Verdict::Unchanged).expect("a change");
    assert_eq!((later.observed.interval().began, later.detail_seen), (at(20), Some(at(20))));
    assert_eq!(SyncState::after(Some(&later), &detail(1, 10), Verdict::Unchanged), None);
}

#[test]
fn a_deletion_keeps_what_was_known() {
    let before = known(1, 10);
    let gone = Read { content: Content::Absent, ..detail(1, 20) };
    let after = SyncState::after(Some(&before), &gone, WHOLE).expect("a change");
    assert!(after.deleted);
    assert_eq!((after.version, after.detail_hash), (before.version, before.detail_hash));
}

#[test]
fn an_implausible_read_is_remembered_with_its_end_until_a_later_one_confirms_it() {
    let before = known(5, 10);
    let first = detail(6, 20);
    let verdict = guard_sets(Some(&before), &first, |_| true);
    assert_eq!(verdict, Verdict::Reread(RereadReason::Shrunk));
    let suspicious = SyncState::after(Some(&before), &first, verdict).expect("a change");
    let suspect = Suspect { version: Some(at(6)), reason: RereadReason::Shrunk, ended: Some(at(21)) };
    assert_eq!(suspicious.suspect.as_ref(), Some(&suspect));

    let judged = |read: &Read| guard_sets(Some(&suspicious), read, |_| true);
    assert_eq!(judged(&first), verdict, "the same read again");
    assert_eq!(
        judged(&seen(record(6), Shape::Detail, call(21, 25))),
        verdict,
        "a read that began before the end of the first"
    );
    assert_eq!(judged(&seen(record(6), Shape::Webhook, Observed::Push(at(90)))), verdict, "a pushed body");
    assert_eq!(judged(&detail(7, 30)), verdict, "another version");
    assert_eq!(judged(&detail(6, 30)), WHOLE);
    let believed = SyncState::after(Some(&suspicious), &detail(6, 30), WHOLE).expect("a change");
    assert_eq!(believed.suspect, None);
}

#[test]
fn a_suspicion_that_was_stored_without_its_end_is_confirmed_by_nothing() {
    let old = r#"{"version": null, "reason": "shrunk"}"#;
    let suspect: Suspect = serde_json::from_str(old).expect("readable");
    assert_eq!(suspect.ended, None);
    let mut read = detail(6, 30);
    if let Content::Present(record) = &mut read.content {
        record.version = None;
    }
    let state = SyncState { version: None, suspect: Some(suspect), ..known(5, 10) };
    assert_eq!(guard_sets(Some(&state), &read, |_| true), Verdict::Reread(RereadReason::Shrunk));
}

#[test]
fn nothing_left_or_less_than_half_of_many_is_suspicious() {
    for (before, after, suspicious) in [
        (0, 0, false),
        (1, 0, true),
        (19, 1, false),
        (20, 9, true),
        (20, 10, false),
        (21, 10, true),
        (30, 40, false),
        (usize::MAX, usize::MAX, false),
    ] {
        assert_eq!(is_suspicious_shrink(before, after), suspicious, "{before} rows become {after}");
    }
}
