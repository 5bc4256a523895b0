//! Cases about what is stored for lists: their facts in [`crate::limits::shared_state::SharedState`], and their
//! history in [`crate::runs::SyncRun`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use super::{
    harness::*,
    run::{checkpoint, claimed, commit, full_sync, page, reaches, started},
};
use crate::{
    runs::{Checkpoint, NewRun, RunEnd, RunStatus},
    source::{Ability, Capability, ListFacts},
};

pub async fn what_is_known_of_a_list_is_kept_for_its_entity_type(harness: &dyn Harness) {
    let shared = harness.stores().shared.as_ref();
    assert_eq!(ListFacts::load(shared, &PRODUCTS).await.expect("load"), ListFacts::default());
    let capability = Capability { filter: Ability::Proven, sort: Ability::Refuted };
    let mut facts = ListFacts { capability: Some(capability), probed_at: Some(at(7)), lag_seconds: 12 };
    for lag_seconds in [12, 90] {
        facts.lag_seconds = lag_seconds;
        facts.store(shared, &PRODUCTS).await.expect("store");
        assert_eq!(ListFacts::load(shared, &PRODUCTS).await.expect("load"), facts);
    }
    assert_eq!(ListFacts::load(shared, &CUSTOMERS).await.expect("load"), ListFacts::default());
}

pub async fn the_length_of_the_last_full_list_is_known_once_its_run_has_ended(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    assert_eq!(runs.history(&PRODUCTS).await.expect("last_full_count").last_full_count, None);
    let lease = started(harness, LONG).await;
    commit(harness, &lease, page(lease.run.id, &["1", "2", "3"], 0, true)).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("last_full_count").last_full_count, Some(3));

    // A run that lists only changes says nothing about the number of records.
    let selective = NewRun { since: Some(at(0)), ..full_sync(PRODUCTS) };
    runs.create(selective).await.expect("create");
    let lease = claimed(harness, LONG).await.expect("a run");
    let mut one = page(lease.run.id, &["1"], 0, true);
    one.checkpoint.window_from = Some(at(0));
    commit(harness, &lease, one).await;
    reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(runs.history(&PRODUCTS).await.expect("last_full_count").last_full_count, Some(3));
}

pub async fn a_resumed_run_knows_that_an_operator_resumed_it(harness: &dyn Harness) {
    let runs = &harness.stores().runs;
    for pages in [0, 1] {
        let lease = started(harness, LONG).await;
        let id = lease.run.id;
        assert!(!lease.checkpoint.resumed);
        if pages == 1 {
            commit(harness, &lease, page(id, &["1"], 0, false)).await;
        }
        runs.end_run(id, lease.token, RunEnd::Failed { error: "far too short".to_owned() })
            .await
            .expect("fail");
        runs.resume(id).await.expect("resume");
        let lease = claimed(harness, LONG).await.expect("the resumed run");
        let expected = if pages == 0 { Checkpoint::default() } else { checkpoint(1) };
        assert_eq!(lease.checkpoint, Checkpoint { resumed: true, ..expected });
        runs.cancel(id).await.expect("cancel");
    }
}
