//! Hidden columns: their values reach the source neither with a create nor with a change, and the entry says so.

use serde_json::{Value, json};
use tds_core::outbound::{ConflictPolicy, EntryStatus, Mode};

use crate::{
    desk::{Desk, line},
    remote::{HIDDEN, INVOICES, LINES},
};

#[tokio::test]
async fn a_hidden_column_is_neither_written_nor_refused_and_its_change_is_noted() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.insert(json!({"number": "A-1", "notes": "open", HIDDEN: "mine"}), &[]);
    desk.rest().await;
    desk.remote.edit("remote 1", json!({HIDDEN: "theirs"}));
    desk.change(id, json!({HIDDEN: "mine again"}));
    desk.rest().await;
    desk.change(id, json!({HIDDEN: "still mine", "notes": "paid"}));
    desk.rest().await;
    assert_eq!(
        desk.statuses().await,
        [EntryStatus::Pushed, EntryStatus::Unchanged, EntryStatus::Pushed],
        "{:#?}",
        desk.entries().await
    );
    let notes: Vec<Option<String>> = desk.entries().await.into_iter().map(|entry| entry.note).collect();
    let note = Some("not written, because the values are hidden: secret".to_owned());
    assert_eq!(notes, [note.clone(), note.clone(), note]);
    assert_eq!(
        (desk.there("remote 1", HIDDEN), desk.there("remote 1", "notes")),
        (json!("theirs"), json!("paid"))
    );
    assert_eq!(desk.here(id, HIDDEN), json!("still mine"), "what the ERP entered stays");
    assert!(desk.calls().iter().all(|call| !call.contains(HIDDEN)), "{:?}", desk.calls());
    let differences = desk.entries().await.into_iter().flat_map(|entry| entry.differences);
    let values: Vec<Value> = differences.map(|it| json!([it.field, it.source, it.target])).collect();
    assert!(!json!(values).to_string().contains("mine"), "{values:?}");
}

#[tokio::test]
async fn what_the_source_shows_without_a_part_is_not_written_and_comes_back() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old", "terms": "net"})).await;
    desk.remote.lines("1", &[line(Some("a"), 1)]);
    desk.pull().await;
    desk.calls();
    desk.remote.state().cut = [LINES, "notes"].map(str::to_owned).into();
    let mut ours = desk.store.local_rows(&INVOICES, id, LINES);
    ours[0].insert("quantity".to_owned(), json!(3));
    desk.change_lines(id, ours);
    desk.rest().await;
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    assert!(desk.calls().iter().all(|call| call == "read"), "nothing is written");
    desk.change(id, json!({"notes": "ours", "terms": "cash"}));
    desk.rest().await;
    let entries = desk.entries().await;
    let ends: Vec<_> = entries.iter().map(|it| (it.status, it.note.clone().unwrap_or_default())).collect();
    let note = |name: &str| format!("not written, because the values are hidden: {name}");
    assert_eq!(
        ends,
        [
            (EntryStatus::Unchanged, note(LINES)),
            (EntryStatus::Unchanged, note("notes")),
            (EntryStatus::Pushed, note("notes"))
        ]
    );
    assert_eq!((desk.here(id, "notes"), desk.here(id, "terms")), (json!("old"), json!("cash")));
    assert_eq!(desk.store.local_rows(&INVOICES, id, LINES)[0]["quantity"], 1, "as the source has it");
    let there = desk.remote.state();
    assert_eq!(there.records["1"].lines[0]["quantity"], 1);
    assert_eq!(
        (&there.records["1"].fields["notes"], &there.records["1"].fields["terms"]),
        (&json!("old"), &json!("cash"))
    );
}
