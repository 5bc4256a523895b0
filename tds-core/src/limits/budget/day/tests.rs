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
fn calls_that_urgent_lanes_do_not_need_pass_to_the_others_by_the_evening() {
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
fn without_a_configured_limit_four_fifths_of_the_limit_that_the_source_states_are_used() {
    let mut day = Day::default();
    day.advance(NOON);
    day.correct(10_000, 8_741, None, NOON, 0);
    assert_eq!(day.left(None), Some(6_741), "never more than the allowance of 8,000");
    assert_eq!(day.left(Some(10_000)), Some(8_000), "a configured plan has its own count");
    assert_eq!(day.spare(None), Some(6_741 - 400));
    assert_eq!(take_all(&mut day, Lane::Webhook, NOON, None), 6_741 - 400);
    day.correct(10_000, 10_000, None, NOON, 0);
    assert_eq!(day.left(None), Some(8_000));
    day.correct(10_000, 1_500, None, NOON, 0);
    assert_eq!(day.left(None), Some(0), "other programs spent our part too");
}

#[test]
fn calls_that_were_not_sent_or_served_another_lane_are_counted_accordingly() {
    let mut day = Day::default();
    day.advance(NOON);
    day.spend(Lane::Full);
    day.spend(Lane::Full);
    day.give_back(Lane::Full);
    day.move_call(Lane::Full, Lane::Webhook);
    assert_eq!((day.spent[Lane::Full], day.spent[Lane::Webhook]), (0, 1));
}

const LIMIT: Option<u32> = Some(1_000);

fn spent(lane: Lane, calls: u32, now: i64) -> Day {
    let mut day = Day::default();
    day.advance(now);
    for _call in 0..calls {
        day.spend(lane);
    }
    day.weigh(now, LIMIT);
    day
}

#[test]
fn a_day_is_frugal_where_its_calls_will_not_suffice() {
    // 760 calls are not reserved for operators. At noon, as many calls are expected as were made.
    assert!(!spent(Lane::Webhook, 380, NOON).frugal);
    assert!(spent(Lane::Webhook, 381, NOON).frugal);
    assert!(spent(Lane::Incremental, 400, NOON).frugal);
    assert!(!spent(Lane::Full, 475, NOON).frugal, "what can wait says nothing about the rest of the day");
    assert!(!spent(Lane::Operator, 400, NOON).frugal, "nor does what people ask for");
}

#[test]
fn the_first_hour_and_a_day_without_a_limit_are_never_frugal() {
    let midnight = 20_000 * DAY;
    assert!(!spent(Lane::Webhook, 700, midnight + HOUR - 1).frugal);
    assert!(spent(Lane::Webhook, 700, midnight + HOUR).frugal);
    let mut day = spent(Lane::Webhook, 100_000, NOON);
    day.weigh(NOON, None);
    assert!(!day.frugal);
}

#[test]
fn what_other_programs_spend_makes_a_day_frugal() {
    let mut day = spent(Lane::Webhook, 100, NOON);
    assert!(!day.frugal);
    day.correct(1_000, 139, None, NOON, 0);
    day.weigh(NOON, LIMIT);
    assert!(day.frugal, "99 are left beside those of people, and 100 are expected");
}

#[test]
fn a_frugal_day_ends_with_a_margin_or_at_midnight_and_does_not_flap() {
    let mut day = spent(Lane::Webhook, 400, NOON);
    assert!(day.frugal);
    let mut changes = 0;
    for minute in 1..12 * 60 {
        let before = day.frugal;
        day.weigh(NOON + minute * 60_000, LIMIT);
        changes += i32::from(before != day.frugal);
    }
    assert_eq!((changes, day.frugal), (1, false), "saved calls make the day suffice, once");
    let mut day = spent(Lane::Webhook, 700, EVENING - 3 * HOUR);
    assert!(day.frugal);
    day.advance(EVENING + 1_000);
    assert!(!day.frugal);
}

#[test]
fn bulk_lanes_leave_what_urgent_lanes_will_need_so_that_they_do_not_make_the_day_frugal() {
    let mut day = spent(Lane::Webhook, 250, NOON);
    let taken = take_all(&mut day, Lane::Full, NOON, LIMIT);
    assert_eq!(taken, 760 - 250 - 312, "a quarter more than the 250 that are expected");
    day.weigh(NOON, LIMIT);
    assert!(!day.frugal);
    let mut frugal = spent(Lane::Webhook, 400, NOON);
    assert!(frugal.frugal);
    assert_eq!(take_all(&mut frugal, Lane::Verify, NOON, LIMIT), 0);
    assert_eq!(take_all(&mut frugal, Lane::Full, NOON, LIMIT), 0, "closed while calls are short");
}
