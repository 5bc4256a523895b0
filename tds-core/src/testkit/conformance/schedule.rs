//! Cases of [`crate::engine::Schedule`].
#![expect(missing_docs, reason = "the name of a case is its sentence")]

use std::time::Duration;

use super::harness::*;
use crate::{engine::ScheduleSpec, queue::WorkerId, runs::RunType};

fn every(every: Duration) -> ScheduleSpec {
    ScheduleSpec { entity: PRODUCTS, run_type: RunType::Incremental, every }
}

pub async fn one_process_leads_at_a_time(harness: &dyn Harness) {
    let schedule = &harness.stores().schedule;
    let (one, other) = (WorkerId("one".into()), WorkerId("other".into()));
    assert!(schedule.lead(&one, LONG).await.expect("lead"));
    assert!(!schedule.lead(&other, LONG).await.expect("lead"));
    assert!(schedule.lead(&one, LONG).await.expect("stays the leader"));
}

pub async fn leadership_ends_with_its_lease(harness: &dyn Harness) {
    let schedule = &harness.stores().schedule;
    let (one, other) = (WorkerId("one".into()), WorkerId("other".into()));
    assert!(schedule.lead(&one, SHORT).await.expect("lead"));
    harness.advance(LONGER).await;
    assert!(schedule.lead(&other, LONG).await.expect("lead"));
    assert!(!schedule.lead(&one, LONG).await.expect("lead"));
}

pub async fn only_the_leader_itself_can_resign(harness: &dyn Harness) {
    let schedule = &harness.stores().schedule;
    let (one, other) = (WorkerId("one".into()), WorkerId("other".into()));
    assert!(schedule.lead(&one, LONG).await.expect("lead"));
    schedule.resign(&other).await.expect("resign");
    assert!(!schedule.lead(&other, LONG).await.expect("lead"));
    schedule.resign(&one).await.expect("resign");
    assert!(schedule.lead(&other, LONG).await.expect("lead"));
}

pub async fn a_schedule_is_due_one_period_after_it_was_first_seen_and_then_once_a_period(
    harness: &dyn Harness,
) {
    let schedule = &harness.stores().schedule;
    let specs = [every(SHORT)];
    assert!(schedule.due(&specs).await.expect("due").is_empty(), "a restart starts nothing");
    harness.advance(LONGER).await;
    assert_eq!(schedule.due(&specs).await.expect("due"), specs);
    let slow = [every(LONG), ScheduleSpec { run_type: RunType::Full, ..every(LONG) }];
    assert!(schedule.due(&slow[1..]).await.expect("due").is_empty());
    harness.advance(LONGER).await;
    assert!(schedule.due(&slow[1..]).await.expect("due").is_empty(), "its period is not over");
}
