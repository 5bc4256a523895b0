//! Creates in doubt: the record is searched for first, and what the source's users changed in it since is theirs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tds_core::{
    memory::MemoryStore,
    outbound::{ConflictPolicy, ConflictStatus, Mode, Outbox as _, Sending, Sent, Side},
    queue::QueueOperator as _,
};

use crate::{
    desk::{Desk, line},
    remote::{Fault, INVOICES, LINES, Remote, SCHEMA, fields},
};

const ALL: [ConflictPolicy; 4] = [
    ConflictPolicy::Manual,
    ConflictPolicy::SourceWins,
    ConflictPolicy::TargetWins,
    ConflictPolicy::NewestWins,
];

impl Desk {
    /// Enters an invoice whose create is done and not answered. Then something happens before the next attempt.
    fn insert_unanswered(&self, then: impl FnOnce(&Remote, &MemoryStore) + Send + 'static) -> i64 {
        let (remote, store) = (Arc::clone(&self.remote), self.store.clone());
        let mut state = self.remote.state();
        state.faults.push_back(Fault::AnswerLost);
        state.then = Some(Box::new(move || then(&remote, &store)));
        drop(state);
        self.insert(json!({"number": "a", "notes": "ours", "phone": null}), &[line(None, 1)])
    }

    fn quantities(&self, id: &str) -> Vec<Value> {
        let state = self.remote.state();
        state.records[id].lines.iter().map(|row| row["quantity"].clone()).collect()
    }
}

/// Changes the only record of the source as its users do: a value, a value that was empty, and a line more.
fn edit_there(remote: &Remote) {
    let id = remote.state().records.keys().next().cloned().expect("a record");
    let mut lines: Vec<Value> =
        remote.state().records[&id].lines.iter().cloned().map(Value::Object).collect();
    lines.push(line(Some("theirs"), 9));
    remote.lines(&id, &lines);
    remote.edit(&id, json!({"notes": "theirs", "phone": "1"}));
}

#[tokio::test]
async fn what_users_of_the_source_changed_before_the_next_attempt_is_theirs_under_every_policy() {
    for policy in ALL {
        let desk = Desk::new(Mode::Bidirectional, policy).await;
        let id = desk.insert_unanswered(|remote, _| edit_there(remote));
        desk.rest().await;
        assert_eq!(desk.calls(), ["create", "find", "read"], "{policy}: nothing is written");
        let remote = desk.store.remote_id(&INVOICES, id).expect("an id");
        for column in ["notes", "phone"] {
            let expected = if column == "notes" { json!("theirs") } else { json!("1") };
            let both = (desk.here(id, column), desk.there(remote.as_str(), column));
            assert_eq!(both, (expected.clone(), expected), "{policy}");
        }
        assert_eq!(desk.here(id, "number"), json!("A"), "{policy}: as the source spells it");
        assert_eq!(desk.quantities(remote.as_str()), [json!(1), json!(9)], "{policy}");
        assert_eq!(desk.store.local_rows(&INVOICES, id, LINES).len(), 2, "{policy}");
        assert_eq!(desk.conflicts().await, [], "{policy}: nobody else has changed anything");
    }
    // A target that is the primary leaves the edit as drift.
    let desk = Desk::new(Mode::TargetPrimary, ConflictPolicy::Manual).await;
    let id = desk.insert_unanswered(|remote, _| edit_there(remote));
    desk.rest().await;
    assert_eq!(desk.calls(), ["create", "find", "read"]);
    assert_eq!((desk.here(id, "notes"), desk.quantities("remote 1").len()), (json!("ours"), 2));
}

#[tokio::test]
async fn what_both_sides_changed_before_the_next_attempt_is_a_conflict() {
    for (policy, winner) in [
        (ConflictPolicy::Manual, None),
        (ConflictPolicy::SourceWins, Some(Side::Source)),
        (ConflictPolicy::TargetWins, Some(Side::Target)),
        (ConflictPolicy::NewestWins, Some(Side::Target)),
    ] {
        let desk = Desk::new(Mode::Bidirectional, policy).await;
        let id = desk.insert_unanswered(|remote, store| {
            edit_there(remote);
            remote.clock.advance(Duration::from_secs(5));
            let changed = fields(json!({"notes": "later", "phone": "2"}));
            let local = store.local_ids(&INVOICES).into_iter().next().expect("a row");
            assert!(store.update_local(&SCHEMA, local, changed, BTreeMap::new()));
        });
        desk.rest().await;
        let conflict = desk.conflicts().await.remove(0);
        let status = if winner.is_none() { ConflictStatus::Open } else { ConflictStatus::Resolved };
        assert_eq!(conflict.status, status, "{policy}");
        let shown =
            conflict.fields.iter().map(|it| (&*it.field, it.winner, [&it.base, &it.target, &it.source]));
        let [base, target, source] = [json!("ours"), json!("later"), json!("theirs")];
        let [empty, second, first] = [Value::Null, json!("2"), json!("1")];
        let expected =
            [("notes", winner, [&base, &target, &source]), ("phone", winner, [&empty, &second, &first])];
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{policy}");
        let expected = match winner {
            Some(Side::Target) => (&target, &target),
            Some(Side::Source) => (&source, &source),
            None => (&target, &source),
        };
        let both = (desk.here(id, "notes"), desk.there("remote 1", "notes"));
        assert_eq!((&both.0, &both.1), expected, "{policy}");
        assert_eq!(desk.quantities("remote 1"), [json!(1), json!(9)], "{policy}");
    }
}

#[tokio::test]
async fn a_create_that_a_search_does_not_find_is_sent_again() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    desk.remote.state().faults.push_back(Fault::CallLost);
    desk.insert(json!({"number": "A"}), &[line(None, 1)]);
    desk.rest().await;
    assert_eq!(desk.calls(), ["create", "find", "create"]);
    assert_eq!(desk.remote.state().records.len(), 1);
}

#[tokio::test]
async fn what_is_hidden_survives_a_create_in_doubt() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::TargetWins).await;
    desk.remote.state().cut = [LINES, "notes"].map(str::to_owned).into();
    desk.insert_unanswered(|remote, _| edit_there(remote));
    desk.rest().await;
    assert_eq!(desk.calls(), ["create", "find", "read"], "nothing is written");
    assert_eq!(desk.there("remote 1", "notes"), json!("theirs"));
    assert_eq!(desk.quantities("remote 1"), [json!(1), json!(9)]);
}

/// A restored database does not know what was sent: which side has changed a value is not known either.
#[tokio::test]
async fn after_a_restore_a_record_that_differs_is_a_conflict_and_both_versions_are_kept() {
    for (policy, expected) in [
        (ConflictPolicy::SourceWins, "theirs"),
        (ConflictPolicy::NewestWins, "theirs"),
        (ConflictPolicy::TargetWins, "ours"),
    ] {
        let desk = Desk::new(Mode::Bidirectional, policy).await;
        desk.store.set_paused(&INVOICES, true).await.expect("paused");
        let ours = json!({"number": "a", "notes": "ours", "terms": "net", "phone": null});
        let id = desk.insert(ours, &[line(None, 1), line(None, 2)]);
        let push = desk.store.load(&SCHEMA, id).await.expect("loaded").expect("a push");
        let doubt = Sending { sent: Sent { creates: true, ..Sent::default() }, conflicts: Vec::new() };
        desk.store.sending(&push, &doubt).await.expect("in doubt");
        desk.remote.edit("remote 9", json!({"number": "A", "notes": "ours", "terms": "net"}));
        let lines = [line(Some("x"), 1), line(Some("y"), 2)];
        desk.remote.lines("remote 9", &lines);
        desk.remote.state().records.get_mut("remote 9").expect("a record").key = push.link.key.clone();
        edit_there(&desk.remote);
        let changed = [
            json!({"line_zoho_id": "x", "product_zoho_id": "p", "quantity": 1, "rate": 6}),
            lines[1].clone(),
        ];
        desk.remote.lines("remote 9", &[&changed[..], &[line(Some("theirs"), 9)]].concat());
        desk.store.set_paused(&INVOICES, false).await.expect("resumed");
        desk.rest().await;
        let is_ours = policy == ConflictPolicy::TargetWins;
        let calls: &[&str] =
            if is_ours { &["find", "read", "update invoice_lines notes", "read"] } else { &["find", "read"] };
        assert_eq!(desk.calls(), calls, "{policy}");
        for (column, value) in [("notes", expected), ("terms", "net"), ("phone", "1")] {
            let both = (desk.here(id, column), desk.there("remote 9", column));
            assert_eq!(both, (json!(value), json!(value)), "{policy} {column}");
        }
        let rates: Vec<Value> =
            desk.store.local_rows(&INVOICES, id, LINES).iter().map(|row| row["rate"].clone()).collect();
        assert_eq!(rates, [json!(if is_ours { 5 } else { 6 }), json!(5), json!(5)], "{policy}");
        assert_eq!(desk.quantities("remote 9"), [json!(1), json!(2), json!(9)], "{policy}");
        let conflict = desk.conflicts().await.remove(0);
        let shown: Vec<_> = conflict.fields.iter().map(|it| (&*it.field, &it.target, &it.source)).collect();
        let expected =
            [("notes", &json!("ours"), &json!("theirs")), ("invoice_lines[x].rate", &json!(5), &json!(6))];
        assert_eq!(shown, expected, "{policy}");
    }
}
