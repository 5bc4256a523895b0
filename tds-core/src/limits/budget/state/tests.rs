use std::time::Duration;

use time::macros::datetime;

use super::*;
use crate::queue::WorkerId;

const START: OffsetDateTime = datetime!(2026-11-27 09:00 UTC);
const LIMITS: Limits =
    Limits { per_minute: Some(100), concurrent: 5, per_day: Some(5_000), call_time: Duration::from_secs(60) };

fn asks(holder: &str, lane: Lane) -> BudgetRequest {
    let mut request = BudgetRequest::of(WorkerId(holder.to_owned()));
    request.wants[lane] = 20;
    request
}

/// Spends a whole minute at this time, and lets the source refuse one more call. Nothing is settled.
fn busy_at(now: OffsetDateTime) -> BudgetState {
    let mut state = BudgetState::default();
    for holder in ["a", "b", "c", "d", "e", "f", "g"] {
        state.exchange(now, &LIMITS, &asks(holder, Lane::Operator));
    }
    let mut refused = asks("a", Lane::Operator);
    refused.signals = vec![LimitSignal::Refused {
        limit: CallLimit::Minute,
        issued: Duration::ZERO,
        retry_after: None,
        reset: None,
        chance: 0,
    }];
    state.exchange(now, &LIMITS, &refused);
    state
}

#[test]
fn a_clock_that_was_ahead_delays_no_call_longer_than_a_right_clock_would() {
    let mut state = busy_at(START + time::Duration::hours(3));
    let paused = state.exchange(START, &LIMITS, &asks("a", Lane::Webhook));
    assert!(paused.permits.is_empty(), "the pause begins now");
    // The pause takes a minute, and then come the calls that may still be in flight. Five minutes are more than
    // enough for both.
    let later = START + time::Duration::minutes(5);
    let grant = state.exchange(later, &LIMITS, &asks("z", Lane::Webhook));
    assert!(!grant.permits.is_empty() && grant.slots > 0, "{grant:?}");
    assert!(grant.status.pause.is_none());
}

#[test]
fn permits_of_a_clock_that_was_ahead_still_count() {
    let mut state = BudgetState::default();
    let ahead = START + time::Duration::hours(3);
    let mut given = 0;
    for _round in 0..20 {
        let mut request = asks("a", Lane::Operator);
        request.at_hand[Lane::Operator] = 0;
        given += state.exchange(ahead, &LIMITS, &request).permits.len();
    }
    let mut after = 0;
    for _round in 0..20 {
        after += state.exchange(START, &LIMITS, &asks("a", Lane::Operator)).permits.len();
    }
    assert!(given > 0 && given + after <= 100, "{given} and {after} calls in a minute");
}
