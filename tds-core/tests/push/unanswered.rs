//! Writes whose answers get lost: what the source shows of them is nobody else's change.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tds_core::{
    memory::MemoryStore,
    outbound::{ConflictPolicy, ConflictStatus, Mode},
    record::Fields,
};

use crate::{
    desk::{Desk, line},
    remote::{Fault, INVOICES, LINES, SCHEMA, fields},
};

impl Desk {
    /// Lets the answer to the next write get lost, and then changes the record in the target.
    fn lose_an_answer(&self, then: impl FnOnce(&MemoryStore) + Send + 'static) {
        let store = self.store.clone();
        let mut state = self.remote.state();
        state.faults.push_back(Fault::AnswerLost);
        state.then = Some(Box::new(move || then(&store)));
    }
}

#[tokio::test]
async fn our_own_write_without_an_answer_is_no_change_of_others() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
    desk.remote.lines("1", &[line(Some("a"), 1)]);
    desk.pull().await;
    // The target changes the same column again.
    desk.lose_an_answer(move |store| {
        assert!(store.update_local(&SCHEMA, id, fields(json!({"notes": "last"})), BTreeMap::new()));
    });
    desk.change(id, json!({"notes": "first"}));
    desk.rest().await;
    assert_eq!((desk.here(id, "notes"), desk.there("1", "notes")), (json!("last"), json!("last")));

    // The target changes the line that it has added, and the source users remove another one.
    desk.lose_an_answer(move |store| {
        let mut rows = store.local_rows(&INVOICES, id, LINES);
        rows[1].insert("quantity".to_owned(), json!(7));
        let rows = BTreeMap::from([(LINES.to_owned(), rows)]);
        assert!(store.update_local(&SCHEMA, id, Fields::new(), rows));
    });
    let mut ours = desk.store.local_rows(&INVOICES, id, LINES);
    ours.push(fields(
        json!({"id": 5, "line_zoho_id": null, "product_zoho_id": "p", "quantity": 3, "rate": 5}),
    ));
    desk.change_lines(id, ours);
    desk.rest().await;
    for rows in [desk.remote.state().records["1"].lines.clone(), desk.store.local_rows(&INVOICES, id, LINES)]
    {
        let quantities: Vec<&Value> = rows.iter().map(|row| &row["quantity"]).collect();
        assert_eq!(quantities, [&json!(1), &json!(7)], "no line is doubled");
    }

    // The target removes the record.
    desk.lose_an_answer(move |store| assert!(store.delete_local(&INVOICES, id, true)));
    desk.change(id, json!({"notes": "in vain"}));
    desk.rest().await;
    assert!(desk.remote.state().records.is_empty());
    assert_eq!(desk.conflicts().await.len(), 0, "nobody else has changed anything");
}

#[tokio::test]
async fn what_a_policy_overruled_is_kept_although_the_answer_is_lost() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::TargetWins).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
    desk.remote.edit("1", json!({"notes": "theirs"}));
    desk.lose_an_answer(|_| ());
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    assert_eq!((desk.here(id, "notes"), desk.there("1", "notes")), (json!("ours"), json!("ours")));
    let kept = desk.conflicts().await;
    assert_eq!(kept.len(), 1, "once");
    assert_eq!((kept[0].status, &kept[0].fields[0].source), (ConflictStatus::Resolved, &json!("theirs")));

    // A removal that wins over an edit keeps the edit as well.
    desk.remote.edit("1", json!({"notes": "theirs again"}));
    assert!(desk.store.delete_local(&INVOICES, id, true));
    desk.rest().await;
    assert!(desk.remote.state().records.is_empty());
    let kept = desk.conflicts().await;
    assert_eq!((kept.len(), &kept[0].fields[0].source), (2, &json!("theirs again")));
}
