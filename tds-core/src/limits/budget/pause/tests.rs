use std::time::Duration;

use super::*;

fn refusal(limit: CallLimit, issued_at: i64, chance: u64) -> Refused {
    Refused { limit, issued_at, retry_after: None, reset: None, chance }
}

/// The seconds that are left of the current pause.
fn left(pauses: &Pauses, now: i64) -> i64 {
    pauses.current(now).map_or(0, |(_, until)| (until - now) / 1_000)
}

#[test]
fn pauses_of_the_minute_double_up_to_a_quarter_of_an_hour_and_begin_anew_after_a_success() {
    let (mut pauses, mut now) = (Pauses::default(), 0);
    let mut lengths = Vec::new();
    for _call in 0..6 {
        pauses.refused(&refusal(CallLimit::Minute, now, 0), now);
        lengths.push(left(&pauses, now));
        now += left(&pauses, now) * 1_000 + 1_000;
    }
    assert_eq!(lengths, [60, 120, 240, 480, 900, 900]);
    pauses.let_in(now);
    pauses.refused(&refusal(CallLimit::Minute, now, 0), now);
    assert_eq!(left(&pauses, now), 60);
}

#[test]
fn refusals_of_calls_in_flight_do_not_make_the_pause_longer() {
    let mut pauses = Pauses::default();
    pauses.refused(&refusal(CallLimit::Minute, 0, 0), 1_000);
    pauses.refused(&refusal(CallLimit::Minute, 0, 0), 2_000);
    assert_eq!(left(&pauses, 2_000), 59);
    pauses.let_in(0);
    assert!(pauses.blocks(Lane::Webhook, 3_000).is_some());
    assert!(pauses.blocks(Lane::Webhook, 61_000).is_none());
}

#[test]
fn the_wait_that_the_source_requests_wins_and_chance_adds_a_tenth_at_most() {
    let advised = Refused { retry_after: Some(Duration::from_secs(7)), ..refusal(CallLimit::Minute, 0, 5) };
    let mut pauses = Pauses::default();
    pauses.refused(&advised, 0);
    assert_eq!(left(&pauses, 0), 7);
    let mut pauses = Pauses::default();
    pauses.refused(&refusal(CallLimit::Minute, 0, 6_000), 0);
    assert_eq!(left(&pauses, 0), 66);
}

#[test]
fn a_spent_day_lets_only_operators_through_and_their_success_ends_it() {
    let mut pauses = Pauses::default();
    let reset = Some(Duration::from_secs(5 * 3_600));
    pauses.refused(&Refused { reset, ..refusal(CallLimit::Day, 0, 0) }, 0);
    assert_eq!(left(&pauses, 0), 5 * 3_600);
    assert_eq!(pauses.blocks(Lane::Operator, 60_000), None);
    assert!(matches!(pauses.blocks(Lane::Outbound, 60_000), Some((CallLimit::Day, _))));
    pauses.let_in(60_000);
    assert_eq!(pauses.blocks(Lane::Full, 60_000), None);
}

#[test]
fn without_a_reset_a_spent_day_is_probed_within_the_hour() {
    for chance in [0, 17, u64::MAX] {
        let mut pauses = Pauses::default();
        pauses.refused(&refusal(CallLimit::Day, 0, chance), 0);
        assert!((1_800..=3_600).contains(&left(&pauses, 0)));
    }
}

#[test]
fn a_limit_of_the_minute_does_not_shorten_a_spent_day_and_a_spent_day_wins() {
    let mut pauses = Pauses::default();
    pauses.refused(&refusal(CallLimit::Minute, 0, 0), 0);
    pauses.refused(&refusal(CallLimit::Day, 0, 0), 0);
    pauses.refused(&refusal(CallLimit::Minute, 1_000, 0), 1_000);
    assert!(matches!(pauses.blocks(Lane::Full, 1_200_000), Some((CallLimit::Day, _))));
}

#[test]
fn a_concurrency_signal_pauses_for_seconds() {
    for chance in [0, 3_999, u64::MAX] {
        let mut pauses = Pauses::default();
        pauses.refused(&refusal(CallLimit::Concurrency, 0, chance), 0);
        assert!((1..=5).contains(&left(&pauses, 0)));
    }
}
