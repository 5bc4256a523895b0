//! Cases about the cost of runs: plans and calls.
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use super::{
    harness::*,
    run::{commit, finish_one, full_sync, page, plan, reaches, run, started},
};
use crate::{
    limits::budget::CallCount,
    queue::{Lane, WorkerId},
    record::EntityType,
    runs::{NewRun, RunStatus, RunType},
};

fn calls(lane: Lane, entity: Option<EntityType>, calls: u32) -> CallCount {
    CallCount { lane, entity, endpoint: "/items".to_owned(), result: "ok".to_owned(), calls }
}

pub async fn a_plan_is_kept_with_its_run_and_the_last_one_counts(harness: &dyn Harness) {
    let (lease, runs) = (started(harness, LONG).await, &harness.stores().runs);
    assert_eq!(lease.run.plan, None);
    let mut kept = plan();
    runs.renew_run(lease.run.id, lease.token, LONG, Some(&kept)).await.expect("keep_plan");
    assert_eq!(run(harness, lease.run.id).await.plan, Some(kept.clone()));
    kept.reason.push_str(" It turned out otherwise.");
    runs.renew_run(lease.run.id, lease.token, LONG, Some(&kept)).await.expect("keep_plan");
    commit(harness, &lease, page(lease.run.id, &["1"], 0, true)).await;
    assert_eq!(run(harness, lease.run.id).await.plan, Some(kept), "also when it has ended");
}

pub async fn calls_count_in_the_newest_run_of_their_kind_and_entity_type(harness: &dyn Harness) {
    let (stores, old) = (harness.stores(), started(harness, LONG).await);
    let of_old = [calls(Lane::Full, Some(PRODUCTS), 2), calls(Lane::Full, Some(PRODUCTS), 3)];
    stores.budget().count("shop", &of_old).await.expect("count");
    commit(harness, &old, page(old.run.id, &["1", "2"], 0, true)).await;
    let other = stores.runs.create(full_sync(CUSTOMERS)).await.expect("create");
    let changes = NewRun { run_type: RunType::Incremental, ..full_sync(PRODUCTS) };
    let changes = stores.runs.create(changes).await.expect("create");
    let mixed = [
        calls(Lane::Full, Some(PRODUCTS), 1),
        calls(Lane::Incremental, Some(PRODUCTS), 10),
        calls(Lane::Full, Some(CUSTOMERS), 100),
        calls(Lane::Verify, Some(PRODUCTS), 1_000),
        calls(Lane::Webhook, Some(PRODUCTS), 1_000),
        calls(Lane::Operator, Some(PRODUCTS), 1_000),
        calls(Lane::Incremental, None, 1_000),
    ];
    stores.budget().count("shop", &mixed).await.expect("count");
    let mut counted = Vec::new();
    for id in [old.run.id, changes.id, other.id] {
        counted.push(run(harness, id).await.calls);
    }
    assert_eq!(counted, [6, 10, 100]);
    stores.runs.cancel(changes.id).await.expect("cancel");
    let newer = stores.runs.create(full_sync(PRODUCTS)).await.expect("create");
    stores.runs.claim_run(&WorkerId("case".into()), LONG, None).await.expect("claim_run");
    stores.budget().count("shop", &of_old).await.expect("count");
    assert_eq!((run(harness, old.run.id).await.calls, run(harness, newer.id).await.calls), (6, 5));
}

pub async fn calls_for_each_record_leave_out_what_the_list_showed_unchanged(harness: &dyn Harness) {
    let lease = started(harness, LONG).await;
    harness.stores().budget().count("shop", &[calls(Lane::Full, Some(PRODUCTS), 3)]).await.expect("count");
    assert_eq!(run(harness, lease.run.id).await.calls_per_record(), None);
    commit(harness, &lease, page(lease.run.id, &["1", "2", "3"], 2, true)).await;
    for _item in 0..2 {
        finish_one(harness).await;
    }
    let ended = reaches(harness, lease.run.id, RunStatus::Completed).await;
    assert_eq!(ended.calls_per_record(), Some(1.5));
}
