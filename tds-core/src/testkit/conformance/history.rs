//! Cases of [`crate::history::RecordHistory`], for stores that have histories.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::time::Duration;

use serde_json::json;

use super::{
    harness::*,
    mirror::{INVOICE_SCHEMA, PRODUCT_SCHEMA, applied},
};
use crate::{
    guard::VerdictKind,
    history::{Happening, History, HistoryWindow},
    ids::{InboxId, ItemId},
    mirror::{MirrorSchema, Operation},
    queue::{ItemFilter, Outcome, Settle},
    record::{Cause, Content, Observed, Origin, Read, RecordBuilder, RecordId, Shape},
};

async fn history(harness: &dyn Harness, schema: &MirrorSchema, id: &str, limit: usize) -> Option<History> {
    let store = harness.stores().history.as_ref()?;
    let addresses = std::slice::from_ref(&schema.entity);
    let window = HistoryWindow::newest(limit);
    store.history(schema, &RecordId::new(id), addresses, &window).await.expect("a history")
}

/// Returns each judged entry as one text: kind, verdict, outcome, operation and what changed.
fn judged(history: &History) -> Vec<String> {
    let judged = history.entries.iter().filter(|entry| entry.happening == Happening::Judged);
    let text = |entry: &crate::history::HistoryEntry| {
        let mut changed = entry.changed.clone();
        changed.sort_unstable();
        let words = [
            Some(entry.origin.as_str()),
            entry.verdict.map(VerdictKind::as_str),
            entry.outcome.map(Outcome::as_str),
            entry.operation.map(Operation::as_str),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        format!("{} {}", words.join(" "), changed.join(",")).trim_end().to_owned()
    };
    judged.map(text).collect()
}

pub async fn every_decision_is_in_the_history_of_its_record_with_what_changed(harness: &dyn Harness) {
    if harness.stores().history.is_none() {
        return;
    }
    let invoice = |version: i64, number: &str, notes: &str| {
        RecordBuilder::new(&INVOICES, "1")
            .version(at(version))
            .fields(json!({"number": number, "notes": notes, "total": 5}))
            .volatile(json!({"balance": 5}))
    };
    let line = |id: &str| json!({"line_zoho_id": id, "position": 1});
    let cause = Cause { item: ItemId(7), event: Some(InboxId(8)), origin: Origin::Webhook, by_run: false };
    let first = invoice(1, "A", "one").children("invoice_lines", [line("a")]);
    let reads = [
        Read { cause: Some(cause), ..first.clone().seen(Shape::Webhook, Observed::Push(at(10))) },
        first.clone().read(at(20), at(21)),
        invoice(2, "A", "two").children("invoice_lines", [line("a")]).read(at(30), at(31)),
        invoice(3, "B", "two").children("invoice_lines", [line("b")]).read(at(40), at(41)),
        invoice(2, "A", "two").seen(Shape::Webhook, Observed::Push(at(45))),
        invoice(3, "other", "two").seen(Shape::Webhook, Observed::Push(at(46))),
        RecordBuilder::new(&INVOICES, "1")
            .version(at(3))
            .volatile(json!({"balance": 0}))
            .seen(Shape::List, call(50)),
        Read { content: Content::Absent, ..invoice(3, "", "").read(at(60), at(61)) },
        invoice(4, "B", "two").children("invoice_lines", [line("b")]).read(at(70), at(71)),
    ];
    for read in reads.clone() {
        applied(harness, &INVOICE_SCHEMA, read).await;
        harness.advance(Duration::from_millis(2)).await;
    }
    let found = history(harness, &INVOICE_SCHEMA, "1", 100).await.expect("a known record");
    assert_eq!(
        judged(&found),
        [
            "webhook apply applied insert",
            "detail apply unchanged",
            "detail apply applied update notes",
            "detail apply applied update invoice_lines,number",
            "webhook stale stale",
            "webhook reread",
            "list apply applied update balance",
            "detail apply deleted delete",
            "detail apply applied restore balance,deleted_at",
        ]
    );
    let (first, last) = (&found.entries[0], &found.entries[8]);
    assert_eq!(
        (first.item, first.inbox_event, first.version),
        (Some(ItemId(7)), Some(InboxId(8)), Some(at(1)))
    );
    assert_eq!(last.observed, Some(reads[8].observed.interval()));
    assert!(found.entries[5].detail.as_ref().is_some_and(|text| text.contains("same version")));
    assert_eq!(found.record.state.as_ref().and_then(|state| state.version), Some(at(4)));
    assert_eq!(found.record.row.as_ref().and_then(|row| row.get("number")), Some(&json!("B")));
    assert!(!found.has_older);
    let newest = history(harness, &INVOICE_SCHEMA, "1", 2).await.expect("a known record");
    assert_eq!((judged(&newest), newest.has_older), (judged(&found)[7..].to_vec(), true));
    let store = harness.stores().history.as_ref().expect("a store of histories");
    let window = HistoryWindow { limit: 1, before: Some(newest.entries[1].at) };
    let earlier = store.history(&INVOICE_SCHEMA, &RecordId::new("1"), &[INVOICES], &window).await;
    let earlier = earlier.expect("a history").expect("a known record");
    assert_eq!(earlier.entries.last().map(|entry| entry.at < newest.entries[1].at), Some(true));
    assert_eq!(history(harness, &INVOICE_SCHEMA, "2", 100).await, None, "an unknown record");
    assert_eq!(history(harness, &PRODUCT_SCHEMA, "1", 100).await, None, "a record of another entity type");
}

pub async fn deliveries_and_what_operators_did_are_in_the_history(harness: &dyn Harness) {
    let stores = harness.stores();
    if stores.history.is_none() {
        return;
    }
    let case = Case(harness);
    let pushed = || event("a", vec![(product("1"), pushed(1, "{}"))]);
    let id = case.accept(pushed()).await;
    case.accept(pushed()).await;
    let item = case.claim().await;
    assert_eq!(item.source_event, Some(id));
    case.settle(&item, Settle::DeadLetter { error: "no unit".into() }).await;
    let only = ItemFilter { ids: Some(vec![item.id]), ..ItemFilter::default() };
    assert_eq!(stores.queue_operator.retry(&only).await.expect("retried"), 1);
    let waiting = history(harness, &PRODUCT_SCHEMA, "1", 100).await.expect("known by its deliveries");
    assert_eq!((&waiting.record.state, &waiting.record.row), (&None, &None));
    let item = case.claim().await;
    case.settle(&item, Settle::Complete(Outcome::Applied)).await;
    let replayed = disposition(vec![(product("1"), super::harness::pushed(1, "{}"))]);
    stores.inbox_operator.replay(id, replayed).await.expect("replayed");
    let again = case.items().await.into_iter().map(|item| item.id).max().expect("an item");
    let only = ItemFilter { ids: Some(vec![again]), ..ItemFilter::default() };
    assert_eq!(stores.queue_operator.discard(&only).await.expect("discarded"), 1);
    let found = history(harness, &PRODUCT_SCHEMA, "1", 100).await.expect("known");
    let happenings = |history: &History| -> Vec<&str> {
        let mut names: Vec<&str> = history.entries.iter().map(|entry| entry.happening.as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(happenings(&waiting), ["dead_letter", "duplicate", "received", "retry", "waiting"]);
    assert_eq!(
        happenings(&found),
        ["dead_letter", "discard", "duplicate", "received", "replay", "retry"],
        "{found:?}"
    );
    let of = |happening| found.entries.iter().find(|entry| entry.happening == happening).expect("an entry");
    assert_eq!(of(Happening::Received).inbox_event, Some(id));
    assert_eq!(of(Happening::Duplicate).inbox_event, Some(id));
    assert_eq!(of(Happening::Retry).origin, Origin::Operator);
    assert_eq!(of(Happening::DeadLetter).detail.as_deref(), Some("no unit"));
    assert!(found.entries.is_sorted_by_key(|entry| entry.at), "oldest first");
}
