//! Hidden columns: their values reach the source neither with a create nor with a change, and the entry says so.

use serde_json::{Value, json};
use tds_core::outbound::{ConflictPolicy, EntryStatus, Mode};

use crate::{desk::Desk, remote::HIDDEN};

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
