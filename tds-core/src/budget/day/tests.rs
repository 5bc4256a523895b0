use std::time::Duration;

use super::*;

const NOON: i64 = 20_000 * DAY + DAY / 2;
const EVENING: i64 = 20_001 * DAY - 1_000;

fn take_all(day: &mut Day, lane: Lane, now: i64, per_day: Option<u32>) -> u32 {
    day.advance(now);
    let mut taken = 0;
    while day.refuses(lane, now, per_day).is_none() && taken < 100_000 {
        day.spend(lane);
        taken += 1;
    }
    taken
}

#[test]
fn full_syncs_are_spread_over_the_day_and_leave_shares_to_more_urgent_lanes() {
    let mut day = Day::default();
    assert_eq!(take_all(&mut day, Lane::Full, NOON, Some(1_000)), 475, "of 760 half, and an eighth ahead");
    let wait = day.refuses(Lane::Full, NOON, Some(1_000)).expect("refused") - NOON;
    assert!((1..=180_000).contains(&wait), "the next call is due within minutes: {wait}");
    assert_eq!(take_all(&mut day, Lane::Incremental, NOON, Some(1_000)), 720 - 475);
    assert_eq!(take_all(&mut day, Lane::Webhook, NOON, Some(1_000)), 40);
    assert_eq!(take_all(&mut day, Lane::Operator, NOON, Some(1_000)), 40, "kept for people all day");
    assert_eq!(day.left(Some(1_000)), Some(0));
    day.advance(EVENING + 1_000);
    assert_eq!(day.left(Some(1_000)), Some(800), "all begins anew at midnight");
}

#[test]
fn what_urgent_lanes_do_not_need_flows_down_until_the_evening() {
    assert_eq!(take_all(&mut Day::default(), Lane::Verify, EVENING, Some(1_000)), 760);
}

#[test]
fn without_a_limit_nothing_is_refused() {
    let mut day = Day::default();
    assert_eq!(take_all(&mut day, Lane::Verify, NOON, None), 100_000);
    assert_eq!(day.left(None), None);
}

#[test]
fn the_sources_own_count_shows_what_others_spend_until_its_reset() {
    let mut day = Day::default();
    day.advance(NOON);
    day.correct(1_000, 170, Some(Duration::from_secs(600)), NOON, 0);
    assert_eq!(day.left(Some(1_000)), Some(170));
    assert_eq!(take_all(&mut day, Lane::Full, NOON, Some(1_000)), 70);
    assert_eq!(day.refuses(Lane::Full, NOON, Some(1_000)), Some(NOON + 600_000));
    assert_eq!(take_all(&mut day, Lane::Outbound, NOON, Some(1_000)), 60);
    assert_eq!(take_all(&mut day, Lane::Full, NOON + 600_000, Some(1_000)), 475 - 70 + 5);
}

#[test]
fn a_call_that_was_not_sent_or_sent_for_another_lane_is_counted_so() {
    let mut day = Day::default();
    day.advance(NOON);
    day.spend(Lane::Full);
    day.spend(Lane::Full);
    day.give_back(Lane::Full);
    day.move_call(Lane::Full, Lane::Webhook);
    assert_eq!((day.spent[Lane::Full], day.spent[Lane::Webhook]), (0, 1));
}
