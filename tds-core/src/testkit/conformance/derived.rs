//! Cases of the reads that follow from other reads.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    harness::*,
    mirror::{INVOICE_SCHEMA, PRODUCT_SCHEMA, applied, named},
    run::{commit, page, started},
};
use crate::{
    queue::{ItemFilter, ItemStatus, Lane, NewItem, Outcome, Settle, Work},
    record::{Follow, Moves, Read, RecordBuilder, RecordId},
};

/// Returns an invoice with these products in its lines. Reads that follow from it wait for slots of this length.
fn selling(products: &[&str], version: i64, slot: Duration) -> Read {
    let record = RecordBuilder::new(&INVOICES, "1").version(at(version)).fields(json!({"notes": version}));
    let record = products.iter().fold(record, |record, product| record.moves(&PRODUCTS, product));
    follow(record.read(at(version * 10), at(version * 10 + 1)), slot, None)
}

fn follow(read: Read, slot: Duration, look_again: Option<Duration>) -> Read {
    let is_derived = look_again.is_some();
    Read { follow: Some(Follow { slot, entities: Arc::default(), is_derived, look_again }), ..read }
}

/// Returns the ids of the waiting items, sorted. Each of them is due at the end of a slot.
async fn waiting(case: &Case<'_>, slot: Duration) -> Vec<String> {
    let items = case.items().await.into_iter().filter(|item| item.status == ItemStatus::Pending);
    let mut ids = Vec::new();
    for item in items {
        assert_eq!(item.priority, Lane::Derived.priority());
        let due = item.run_at.expect("a time").unix_timestamp_nanos();
        assert_eq!(due % i128::try_from(slot.as_nanos()).expect("a number"), 0, "{item:?}");
        ids.push(item.record.to_string());
    }
    ids.sort();
    ids
}

pub async fn a_change_moves_what_the_record_named_before_and_names_now(harness: &dyn Harness) {
    let case = Case(harness);
    applied(harness, &INVOICE_SCHEMA, selling(&["1", "2"], 1, LONG)).await;
    assert_eq!(waiting(&case, LONG).await, ["1", "2"]);
    for item in case.items().await {
        let filter = ItemFilter { ids: Some(vec![item.id]), ..ItemFilter::default() };
        harness.stores().queue_operator.discard(&filter).await.expect("discarded");
    }
    applied(harness, &INVOICE_SCHEMA, selling(&["1", "2"], 1, LONG)).await;
    assert!(waiting(&case, LONG).await.is_empty(), "nothing changed");
    applied(harness, &INVOICE_SCHEMA, selling(&["2", "3"], 2, LONG)).await;
    assert_eq!(waiting(&case, LONG).await, ["1", "2", "3"]);
    let state = case.states(&INVOICES, &["1"]).await[&RecordId::new("1")].clone();
    let named: Vec<String> = state.moves.iter().flat_map(Moves::all).map(|key| key.to_string()).collect();
    assert_eq!(named, ["products 2", "products 3"]);
}

pub async fn reads_that_follow_wait_for_their_slot_and_for_nothing_else(harness: &dyn Harness) {
    let case = Case(harness);
    // The clock may stand exactly at the end of a slot.
    harness.advance(SHORT).await;
    applied(harness, &INVOICE_SCHEMA, selling(&["1", "2"], 1, LONG)).await;
    case.nothing_to_claim().await;
    case.enqueue(vec![NewItem { lane: Lane::Full, ..new_item("1", Work::fetch()) }]).await;
    case.nothing_to_claim().await;
    case.enqueue(vec![new_item("1", Work::fetch())]).await;
    let item = case.claim().await;
    assert_eq!((item.key.id.as_str(), item.lane), ("1", Lane::Webhook), "more urgent work is due at once");
    // The item waits for the earliest of its work.
    let at_once = selling(&["2"], 2, Duration::ZERO);
    applied(harness, &INVOICE_SCHEMA, at_once).await;
    let second = case.claim().await;
    assert_eq!((second.key.id.as_str(), second.lane), ("2", Lane::Derived));
    // Work that arrives during the claim waits for its slot as well.
    applied(harness, &INVOICE_SCHEMA, selling(&["2"], 3, LONG)).await;
    assert_eq!(case.settle(&second, Settle::Complete(Outcome::Unchanged)).await.again, 1);
    case.nothing_to_claim().await;
    assert_eq!(waiting(&case, LONG).await, ["2"]);
}

pub async fn a_derived_read_without_a_change_is_repeated_later(harness: &dyn Harness) {
    let case = Case(harness);
    let read = |seen: i64| follow(named("lamp", 1).read(at(seen), at(seen)), Duration::ZERO, Some(LONG));
    applied(harness, &PRODUCT_SCHEMA, read(10)).await;
    assert!(case.items().await.is_empty(), "the read showed a change");
    applied(harness, &PRODUCT_SCHEMA, read(20)).await;
    let items = case.items().await;
    assert_eq!((items.len(), items[0].priority), (1, Lane::Derived.priority()));
    assert!(items[0].queued_at >= items[0].run_at.expect("a time") - time::Duration::SECOND);
    case.nothing_to_claim().await;
    // A newer change does not wait for the second look.
    applied(harness, &INVOICE_SCHEMA, selling(&["1"], 1, Duration::ZERO)).await;
    let item = case.claim().await;
    assert!(item.work.recheck && item.lane == Lane::Derived, "the second look is part of the read");
}

pub async fn a_read_that_follows_stays_when_a_run_that_listed_the_record_too_is_cancelled(
    harness: &dyn Harness,
) {
    let case = Case(harness);
    applied(harness, &INVOICE_SCHEMA, selling(&["1"], 1, Duration::ZERO)).await;
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1", "2"], 2, true)).await;
    harness.stores().runs.cancel(lease.run.id).await.expect("cancel");
    let item = case.claim().await;
    assert_eq!(item.key, product("1"));
    case.nothing_to_claim().await;
}
