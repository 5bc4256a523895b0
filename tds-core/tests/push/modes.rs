//! What becomes of local changes in the modes, and the switch between them.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tds_core::{
    clock::Clock as _,
    outbound::{
        ConflictPolicy, EntryStatus, Mode, ModeChange, ModeSwitch, Modes as _, OutboxOperator as _,
        SwitchStep,
    },
    queue::QueueOperator as _,
    runs::{RunId, RunStatus},
    verify::{DriftClass, EntityReport, VerificationReport, VerifyCounts},
};

use crate::{
    desk::{Desk, line},
    remote::{Fault, INVOICES, LINES},
};

#[tokio::test]
async fn in_shadow_what_would_be_pushed_is_shown_and_no_call_is_made() {
    let desk = Desk::new(Mode::Shadow, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old"})).await;
    desk.calls();
    desk.change(id, json!({"notes": "ours"}));
    desk.insert(json!({"number": ""}), &[line(None, 1)]);
    desk.rest().await;
    assert!(desk.calls().is_empty());
    let entries = desk.entries().await;
    assert_eq!(desk.statuses().await, [EntryStatus::Shadow; 2]);
    let difference = &entries[0].differences[0];
    assert_eq!((&difference.source, &difference.target), (&json!("old"), &json!("ours")));
    assert!(
        entries[1].note.clone().expect("a note").contains("would have been refused: the number is empty")
    );
    assert!(entries[1].differences.iter().any(|it| it.field.starts_with(LINES)));
    // The source wins.
    desk.remote.edit("1", json!({"notes": "theirs"}));
    desk.pull().await;
    assert_eq!(desk.here(id, "notes"), json!("theirs"));
}

#[tokio::test]
async fn as_the_primary_the_target_overwrites_what_it_changed_and_ignores_edits_at_the_source() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let id = desk.mirrored(json!({"number": "A", "notes": "old", "terms": "old"})).await;
    desk.mode(Mode::TargetPrimary, ConflictPolicy::Manual).await;
    desk.remote.edit("1", json!({"notes": "theirs", "terms": "theirs"}));
    desk.pull().await;
    assert_eq!((desk.here(id, "notes"), desk.here(id, "terms")), (json!("old"), json!("old")));
    desk.change(id, json!({"notes": "ours"}));
    desk.rest().await;
    assert_eq!((desk.there("1", "notes"), desk.there("1", "terms")), (json!("ours"), json!("theirs")));
    assert_eq!(
        (desk.here(id, "notes"), desk.here(id, "terms")),
        (json!("ours"), json!("old")),
        "drift stays drift"
    );
    // A push that finds nothing to write brings nothing either.
    desk.remote.edit("1", json!({"notes": "same"}));
    desk.change(id, json!({"notes": "same"}));
    desk.rest().await;
    assert_eq!(desk.here(id, "terms"), json!("old"));
    // Nobody leaves the pushing modes while a change is pending.
    desk.remote.state().faults.push_back(Fault::Refused);
    desk.change(id, json!({"notes": "pending"}));
    desk.rest().await;
    let change =
        ModeChange { entity: INVOICES, mode: Some(Mode::Shadow), policy: None, fields: None, epoch: None };
    let refused = desk.store.set_mode(&change).await.expect_err("a pending change");
    assert!(refused.to_string().contains("1 local changes of invoices are pending"), "{refused}");
    assert_eq!(desk.store.open_conflicts().await.expect("a number"), 0);
}

#[tokio::test]
async fn a_switch_refuses_whatever_differs_and_leaves_the_mode_as_it_was() {
    let desk = Desk::new(Mode::Bidirectional, ConflictPolicy::Manual).await;
    let clean = || report(&desk, RunStatus::Completed, 0);
    let switch = |to: Mode, found: VerificationReport| {
        let store = desk.store.clone();
        async move {
            let switch = ModeSwitch {
                modes: &store,
                outbox: &store,
                queue: &store,
                patience: Duration::from_millis(50),
            };
            let steps = std::sync::Mutex::new(Vec::new());
            let note = |step: SwitchStep| steps.lock().expect("no panic").push(step);
            let result = switch.run(&INVOICES, to, || async move { Ok(found) }, &note).await;
            (result, steps.into_inner().expect("no panic"))
        }
    };
    let (switched, steps) = switch(Mode::TargetPrimary, clean()).await;
    let switched = switched.expect("nothing differs");
    assert_eq!((switched.mode, steps), (Mode::TargetPrimary, SwitchStep::ALL.to_vec()));
    assert!(desk.store.paused().await.expect("paused").is_empty());

    let (refused, _) = switch(Mode::TargetPrimary, clean()).await;
    assert!(refused.expect_err("the same mode").to_string().contains("already"));
    let (refused, steps) = switch(Mode::Bidirectional, report(&desk, RunStatus::Completed, 2)).await;
    assert!(refused.expect_err("drift").to_string().contains("2 records of invoices differ"));
    assert_eq!(steps.last(), Some(&SwitchStep::Verify));
    let (refused, _) = switch(Mode::Bidirectional, report(&desk, RunStatus::Failed, 0)).await;
    assert!(refused.expect_err("a failed run").to_string().contains("ended as failed"));

    desk.remote.state().faults.push_back(Fault::Refused);
    desk.insert(json!({"number": "A"}), &[]);
    desk.rest().await;
    let (refused, _) = switch(Mode::Bidirectional, clean()).await;
    assert!(refused.expect_err("a dead letter").to_string().contains("1 dead letters"));
    let modes = desk.store.modes().await.expect("modes");
    assert_eq!((modes[0].mode, modes[0].epoch), (Mode::TargetPrimary, switched.epoch));
}

fn report(desk: &Desk, status: RunStatus, drift: u64) -> VerificationReport {
    let now = desk.remote.clock.now();
    let entity = EntityReport {
        run: RunId(1),
        repairs: false,
        entity: INVOICES,
        status,
        error: None,
        started_at: Some(now),
        completed_at: Some(now),
        calls: 0,
        counts: VerifyCounts::default(),
        in_flight: 0,
        repaired: 0,
        found: BTreeMap::new(),
        drift: BTreeMap::from([(DriftClass::FieldDiff, drift)]),
        by_field: BTreeMap::new(),
        examples: Vec::new(),
    };
    VerificationReport {
        id: RunId(1),
        status,
        requested_by: None,
        created_at: now,
        started_at: Some(now),
        completed_at: Some(now),
        money: Vec::new(),
        entities: vec![entity],
    }
}
