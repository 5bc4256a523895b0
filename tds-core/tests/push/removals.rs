//! Records that one side removed.

use serde_json::json;
use tds_core::outbound::{ConflictPolicy, Mode, OutboxOperator as _};

use crate::{
    desk::Desk,
    remote::{Fault, INVOICES},
};

#[tokio::test]
async fn a_removal_reaches_the_source_unless_the_record_never_existed_there() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::SourceWins).await;
    let id = desk.mirrored(json!({"number": "A"})).await;
    assert!(desk.store.delete_local(&INVOICES, id, true));
    desk.rest().await;
    assert!(desk.remote.state().records.is_empty());
    assert!(desk.store.local_row(&INVOICES, id).expect("a tombstone").deleted_at.is_some());

    // A record that others use stays, and comes back as the source has it.
    let id = desk.insert(json!({"number": "B"}), &[]);
    desk.rest().await;
    let remote = desk.store.remote_id(&INVOICES, id).expect("a link");
    desk.remote.state().used.insert(remote.to_string());
    assert!(desk.store.delete_local(&INVOICES, id, true));
    desk.rest().await;
    assert_eq!(desk.here(id, "status"), json!("inactive"));
    assert!(desk.entries().await.last().and_then(|it| it.note.clone()).expect("a note").contains("keeps it"));

    // What was changed at the source in the meantime is in conflict with the removal.
    desk.remote.edit(remote.as_str(), json!({"notes": "in use again"}));
    assert!(desk.store.delete_local(&INVOICES, id, true));
    desk.rest().await;
    assert_eq!((desk.here(id, "notes"), desk.remote.state().records.len()), (json!("in use again"), 1));

    desk.calls();
    desk.remote.state().faults.push_back(Fault::Refused);
    let id = desk.insert(json!({"number": "C"}), &[]);
    desk.rest().await;
    assert!(desk.store.delete_local(&INVOICES, id, false));
    desk.rest().await;
    assert_eq!(desk.calls(), ["create"], "the source never had the record");
}

#[tokio::test]
async fn a_record_that_the_source_removed_is_removed_or_waits_for_a_person() {
    for policy in [ConflictPolicy::SourceWins, ConflictPolicy::Manual] {
        let desk = Desk::new(Mode::Bidirectional, policy).await;
        let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
        desk.remote.state().records.clear();
        desk.change(id, json!({"notes": "ours"}));
        desk.rest().await;
        let row = desk.store.local_row(&INVOICES, id).expect("a row");
        let parked = policy == ConflictPolicy::Manual;
        assert_eq!(row.deleted_at.is_none(), parked, "{policy}");
        assert_eq!(desk.store.open_conflicts().await.expect("a number"), u64::from(parked), "{policy}");
        assert_eq!(desk.calls().iter().filter(|call| *call != "read").count(), 0, "{policy}");
    }
}
