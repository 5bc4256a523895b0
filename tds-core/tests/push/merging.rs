//! Changes of both sides that merge: fields, lines, and reads that come in between.

use serde_json::json;
use tds_core::{
    outbound::{ConflictPolicy, ConflictStatus, EntryStatus, Mode, OutboxOperator as _},
    record::Fields,
};

use crate::{
    desk::{Desk, line},
    remote::{Fault, INVOICES, LINES, fields},
};

#[tokio::test]
async fn changes_of_different_fields_merge_and_only_what_changed_is_written() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old", "terms": "old"})).await;
    desk.calls();
    desk.remote.edit("1", json!({"terms": "theirs"}));
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    assert_eq!(desk.calls(), ["read", "update notes", "read"]);
    assert_eq!((desk.here(id, "terms"), desk.there("1", "notes")), (json!("theirs"), json!("ours")));
    // An answer that is lost is found by the next read: nothing is written twice.
    desk.remote.state().faults.push_back(Fault::AnswerLost);
    desk.change(id, json!({"notes": "once"}));
    desk.rest().await;
    assert_eq!(desk.calls(), ["read", "update notes", "read"]);
    assert_eq!(desk.there("1", "notes"), json!("once"));
    assert_eq!(desk.statuses().await, [EntryStatus::Pushed, EntryStatus::Unchanged]);
}

#[tokio::test]
async fn lines_are_merged_by_their_ids() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A"})).await;
    desk.remote.lines("1", &[line(Some("a"), 1), line(Some("b"), 1)]);
    desk.pull().await;
    let mut ours = desk.store.local_rows(&INVOICES, id, LINES);
    assert_eq!(ours.len(), 2);
    ours[0].insert("quantity".to_owned(), json!(7));
    ours.push(fields(line(None, 3)));
    desk.remote.lines("1", &[line(Some("a"), 1), line(Some("b"), 9)]);
    desk.change_lines(id, ours);
    desk.rest().await;
    let quantities = |rows: &[Fields]| -> Vec<i64> {
        let mut all: Vec<i64> = rows.iter().filter_map(|row| row["quantity"].as_i64()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(quantities(&desk.remote.state().records["1"].lines), [3, 7, 9]);
    assert_eq!(quantities(&desk.store.local_rows(&INVOICES, id, LINES)), [3, 7, 9]);
    assert_eq!(desk.here(id, "total"), json!(95));
}

#[tokio::test]
async fn a_read_that_comes_during_a_push_is_merged_and_not_lost() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old", "terms": "old"})).await;
    // The mirror writes the columns that nobody changed, and their base goes with them.
    desk.remote.edit("1", json!({"notes": "theirs"}));
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    desk.remote.edit("1", json!({"terms": "seen"}));
    desk.pull().await;
    assert_eq!(desk.here(id, "terms"), json!("seen"));
    desk.change(id, json!({"terms": "ours"}));
    desk.rest().await;
    let open =
        desk.store.conflicts(Some(ConflictStatus::Open), None, None, 9).await.expect("conflicts").items;
    let names: Vec<&str> = open[0].fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(names, ["notes"], "the terms were changed over what the source had");
}

#[tokio::test]
async fn a_field_that_the_source_does_not_take_is_refused_alone_and_noted_beside_others() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
    desk.change(id, json!({"notes": "new", "total": 99}));
    desk.rest().await;
    let entry = desk.entries().await.remove(0);
    assert_eq!(entry.status, EntryStatus::Pushed);
    assert!(entry.note.expect("a note").contains("total cannot be written: it follows from the lines"));
    assert_eq!(desk.here(id, "total"), json!(0), "the source's value comes back");
    desk.change(id, json!({"total": 99}));
    desk.rest().await;
    assert!(desk.dead_letter().await.contains("total cannot be written"));
}
