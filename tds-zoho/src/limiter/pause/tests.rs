use std::time::Duration;

use tds_core::Lane;
use tokio::time::Instant;

use super::{Limit, Pauses, Wish};

const NONE: Wish = Wish { retry_after: None, reset: None };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn pauses_of_the_minute_double_up_to_a_quarter_of_an_hour_and_begin_anew_after_a_success() {
    let mut pauses = Pauses::default();
    let mut now = Instant::now();
    let mut lengths = Vec::new();
    for _call in 0..6 {
        let length = pauses.refused(Limit::Minute, now, now, NONE, 0);
        lengths.push(length.as_secs());
        now += length + seconds(1);
    }
    assert_eq!(lengths, [60, 120, 240, 480, 900, 900]);
    pauses.went_well(now);
    assert_eq!(pauses.refused(Limit::Minute, now, now, NONE, 0), seconds(60));
}

#[test]
fn calls_that_were_on_their_way_do_not_make_the_pause_longer() {
    let mut pauses = Pauses::default();
    let now = Instant::now();
    pauses.refused(Limit::Minute, now, now + seconds(1), NONE, 0);
    assert_eq!(pauses.refused(Limit::Minute, now, now + seconds(2), NONE, 0), seconds(59));
    pauses.went_well(now);
    assert!(pauses.blocks(Lane::Webhook, now + seconds(3)).is_some());
    assert!(pauses.blocks(Lane::Webhook, now + seconds(61)).is_none());
}

#[test]
fn zohos_wish_wins_and_chance_adds_a_tenth_at_most() {
    let now = Instant::now();
    let wish = Wish { retry_after: Some(seconds(7)), reset: None };
    assert_eq!(Pauses::default().refused(Limit::Minute, now, now, wish, 5), seconds(7));
    let by_chance = Pauses::default().refused(Limit::Minute, now, now, NONE, 6000);
    assert_eq!(by_chance, seconds(66));
}

#[test]
fn a_spent_day_lets_only_a_person_through_and_his_success_ends_it() {
    let mut pauses = Pauses::default();
    let now = Instant::now();
    let wish = Wish { retry_after: None, reset: Some(seconds(5 * 3600)) };
    assert_eq!(pauses.refused(Limit::Day, now, now, wish, 0), seconds(5 * 3600));
    let later = now + seconds(60);
    assert_eq!(pauses.blocks(Lane::Operator, later), None);
    assert!(matches!(pauses.blocks(Lane::Outbound, later), Some((Limit::Day, _))));
    pauses.went_well(later);
    assert_eq!(pauses.blocks(Lane::Full, later), None);
}

#[test]
fn without_a_reset_a_spent_day_is_probed_within_the_hour() {
    for random in [0, 17, u64::MAX] {
        let now = Instant::now();
        let length = Pauses::default().refused(Limit::Day, now, now, NONE, random);
        assert!((seconds(1800)..=seconds(3600)).contains(&length), "{length:?}");
    }
}

#[test]
fn a_limit_of_the_minute_does_not_shorten_a_spent_day_and_a_spent_day_wins() {
    let mut pauses = Pauses::default();
    let now = Instant::now();
    pauses.refused(Limit::Minute, now, now, NONE, 0);
    pauses.refused(Limit::Day, now, now, NONE, 0);
    pauses.refused(Limit::Minute, now + seconds(1), now + seconds(1), NONE, 0);
    assert!(matches!(pauses.blocks(Lane::Full, now + seconds(1200)), Some((Limit::Day, _))));
}

#[test]
fn a_complaint_of_concurrency_pauses_for_seconds() {
    for random in [0, 3999, u64::MAX] {
        let now = Instant::now();
        let length = Pauses::default().refused(Limit::Concurrency, now, now, NONE, random);
        assert!((seconds(1)..=seconds(5)).contains(&length), "{length:?}");
    }
}
