//! Records that are new in the target: each is created once, and nothing about it is left in doubt.

use serde_json::json;
use tds_core::{
    outbound::{ConflictPolicy, EntryStatus, Mode},
    queue::{Lane, NewItem, Queue as _, Work},
    record::RecordKey,
};

use crate::{
    desk::{Desk, line},
    remote::{Fault, INVOICES, LINES},
};

#[tokio::test]
async fn a_new_record_is_created_once_and_gets_what_the_source_gave_it() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.insert(json!({"number": "inv-1", "notes": null}), &[line(None, 2), line(None, 3)]);
    desk.rest().await;
    let remote = desk.store.remote_id(&INVOICES, id).expect("a link");
    assert_eq!(desk.calls(), ["create"], "the answer is enough");
    assert_eq!((desk.here(id, "number"), desk.here(id, "total")), (json!("INV-1"), json!(25)));
    let lines = desk.store.local_rows(&INVOICES, id, LINES);
    assert!(lines.iter().all(|row| row["line_zoho_id"].is_string()), "{lines:?}");
    let entries = desk.entries().await;
    assert_eq!((entries[0].status, entries[0].in_doubt), (EntryStatus::Pushed, false));
    assert_eq!(entries[0].remote_id.as_ref(), Some(&remote));
    assert!(entries[0].differences.iter().any(|it| it.field == "number" && it.source.is_null()));

    // The webhook of the own write changes nothing and is pushed nowhere.
    let key = RecordKey::new(INVOICES, remote);
    desk.store.enqueue(vec![NewItem::new(key, Lane::Webhook, Work::fetch())]).await.expect("enqueued");
    desk.rest().await;
    assert_eq!(desk.calls(), ["read"]);
    assert_eq!((desk.store.local_ids(&INVOICES).len(), desk.entries().await.len()), (1, 1));
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_and_not_repeated() {
    for fault in [Fault::AnswerLost, Fault::Half, Fault::Unheard] {
        let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
        desk.remote.state().faults.push_back(fault);
        let id = desk.insert(json!({"number": "A"}), &[line(None, 1)]);
        desk.rest().await;
        assert_eq!(desk.remote.state().records.len(), 1, "{fault:?}");
        assert!(desk.store.remote_id(&INVOICES, id).is_some(), "{fault:?}");
        assert_eq!(desk.statuses().await.len(), 1, "{fault:?}");
        let expected: &[&str] = match fault {
            Fault::AnswerLost => &["create", "find", "read"],
            // The create is known, so the rest of it is a change: there is none.
            Fault::Half => &["create", "read"],
            _ => &["create", "create"],
        };
        assert_eq!(desk.calls(), expected, "{fault:?}");
        assert_eq!(desk.store.local_rows(&INVOICES, id, LINES).len(), 1, "{fault:?}: no line is doubled");
    }
}

#[tokio::test]
async fn a_refused_create_is_a_dead_letter_with_the_words_of_the_source_and_leaves_no_doubt() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    desk.remote.state().faults.push_back(Fault::Refused);
    let id = desk.insert(json!({"number": "A"}), &[]);
    desk.rest().await;
    assert!(desk.dead_letter().await.contains("the source says no"));
    let entry = desk.entries().await.remove(0);
    assert_eq!((entry.status, entry.in_doubt), (EntryStatus::Pending, false));
    // The next change of the record is a new attempt, which carries everything.
    desk.change(id, json!({"notes": "again"}));
    desk.rest().await;
    assert_eq!(desk.statuses().await, [EntryStatus::Pushed; 2]);
    assert_eq!(desk.there("remote 1", "notes"), json!("again"));

    // What can be known without a call costs none.
    desk.calls();
    desk.insert(json!({"number": ""}), &[]);
    desk.rest().await;
    assert!(desk.calls().is_empty());
    assert!(desk.dead_letter().await.contains("the number is empty"));
}
