//! The modes.

use super::*;

pub async fn a_mode_that_was_set_is_kept_and_begins_a_new_epoch(harness: &dyn Harness) {
    let Some(stores) = harness.stores().outbound.clone() else { return };
    assert!(stores.modes.modes().await.expect("modes").is_empty(), "no mode was ever set");
    let initial = EntityMode::initial(PRODUCTS);
    let policies = [("name".to_owned(), ConflictPolicy::TargetWins)].into();
    let change = ModeChange {
        policy: Some(ConflictPolicy::NewestWins),
        fields: Some(policies),
        epoch: Some(initial.epoch),
        ..to_mode(PRODUCTS, Mode::Bidirectional)
    };
    let first = stores.modes.set_mode(&change).await.expect("set");
    assert_eq!((first.mode, first.policy), (Mode::Bidirectional, ConflictPolicy::NewestWins));
    assert_eq!(first.fields["name"], ConflictPolicy::TargetWins);
    assert!(first.epoch > initial.epoch && first.changed_at.is_some());
    let second = stores.modes.set_mode(&to_mode(PRODUCTS, Mode::Shadow)).await.expect("set");
    let kept = EntityMode {
        mode: Mode::Shadow,
        epoch: second.epoch,
        changed_at: second.changed_at,
        ..first.clone()
    };
    assert_eq!(second, kept, "what is not named stays");
    assert!(second.epoch > first.epoch);
    assert_eq!(stores.modes.modes().await.expect("modes"), [second]);
}

pub async fn a_change_that_is_based_on_another_epoch_is_refused(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let current = out.set_mode(PRODUCTS, Mode::Bidirectional).await;
    let change = ModeChange { epoch: Some(current.epoch - 1), ..to_mode(PRODUCTS, Mode::Shadow) };
    assert_eq!(kind(out.stores.modes.set_mode(&change).await), ErrorKind::Conflict);
    let change = ModeChange { epoch: Some(current.epoch), ..change };
    out.stores.modes.set_mode(&change).await.expect("set");
}

pub async fn a_mode_that_pushes_nothing_is_refused_while_changes_are_pending(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let local_id = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    for mode in [Mode::SourcePrimary, Mode::Shadow] {
        let refused = out.stores.modes.set_mode(&to_mode(PRODUCTS, mode)).await;
        assert_eq!(kind(refused), ErrorKind::Conflict, "{mode}");
    }
    out.set_mode(PRODUCTS, Mode::TargetPrimary).await;
    out.pushed(&PRODUCT_SCHEMA, local_id).await;
    out.set_mode(PRODUCTS, Mode::SourcePrimary).await;
}

pub async fn changes_that_are_pending_or_parked_are_counted(harness: &dyn Harness) {
    let Some(out) = Outgoing::of(harness, Mode::Bidirectional).await else { return };
    let pending = async || out.stores.modes.pending(&PRODUCTS).await.expect("counted");
    let lamp = out.insert(&PRODUCT_SCHEMA, json!({"name": "lamp"})).await;
    let desk = out.insert(&PRODUCT_SCHEMA, json!({"name": "desk"})).await;
    out.insert(&CUSTOMER_SCHEMA, json!({"name": "Graz"})).await;
    assert_eq!(pending().await, 2);
    let push = out.loaded(&PRODUCT_SCHEMA, lamp).await;
    let conflicts = vec![conflict("name", "lamp", "ours", "theirs", None)];
    out.settle(&push, &Settlement { conflicts, ..Settlement::new(Settled::Parked) }).await;
    assert_eq!(pending().await, 2);
    out.pushed(&PRODUCT_SCHEMA, desk).await;
    assert_eq!(pending().await, 1);
}
