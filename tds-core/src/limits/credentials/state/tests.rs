use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const RULE: RenewalRule =
    RenewalRule { most: 10, within: Duration::from_secs(600), time: Duration::from_secs(30) };

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn failed(kind: &str, wait: Duration, counts: bool) -> RenewalResult {
    let cooldown = Cooldown { kind: kind.to_owned(), reason: String::new(), wait };
    RenewalResult::Failed { cooldown, longest: MINUTE, counts }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Processes crash, fail with and without a lost answer, and succeed. A renewal takes any time up to its limit, and
    /// so does its arrival at the source.
    #[test]
    fn no_window_of_ten_minutes_sees_more_than_ten_renewals(
        steps in proptest::collection::vec((0_i64..120_000, 0_i64..30_000, 0_u8..4), 1..200)
    ) {
        let (mut state, mut now) = (RenewalState::default(), datetime!(2026-03-01 12:00 UTC));
        let mut arrivals = Vec::new();
        for (gap, takes, fate) in steps {
            now += time::Duration::milliseconds(gap);
            let Claim::Yours(ticket) = state.claim(now, &RULE, false, None) else { continue };
            let ends = now + time::Duration::milliseconds(takes);
            let counts = fate != 3;
            if counts {
                arrivals.push(ends);
            }
            let outcome = match fate {
                0 => continue,
                1 => RenewalResult::Renewed { sealed: None, renew_in: RULE.time, expires_in: RULE.time },
                _ => failed("", Duration::ZERO, counts),
            };
            now = ends;
            state.finish(now, &RULE, ticket, outcome);
        }
        for (index, first) in arrivals.iter().enumerate() {
            let window = arrivals[index..].iter().filter(|at| **at - *first <= time::Duration::minutes(10));
            prop_assert!(window.count() <= 10);
        }
    }
}

#[test]
fn renewals_counted_by_a_clock_that_was_ahead_delay_no_renewal_longer_than_renewals_made_now() {
    let start = datetime!(2026-03-01 12:00 UTC);
    let mut state = RenewalState::default();
    for _mint in 0..10 {
        let ahead = start + time::Duration::hours(3);
        let Claim::Yours(ticket) = state.claim(ahead, &RULE, false, None) else { panic!("a turn") };
        let outcome = RenewalResult::Renewed { sealed: None, renew_in: RULE.time, expires_in: RULE.time };
        state.finish(ahead, &RULE, ticket, outcome);
    }
    assert!(
        matches!(state.claim(start, &RULE, false, None), Claim::TooOften(wait) if wait <= Duration::from_secs(640))
    );
    let later = start + time::Duration::seconds(640);
    assert!(matches!(state.claim(later, &RULE, false, None), Claim::Yours(_)));
}

#[test]
fn renewals_that_made_nothing_leave_the_whole_rule_for_the_time_after_them() {
    let (mut state, mut now) = (RenewalState::default(), datetime!(2026-03-01 12:00 UTC));
    let mut waits = Vec::new();
    let end = now + time::Duration::hours(1);
    while now < end {
        let Claim::Yours(ticket) = state.claim(now, &RULE, false, None) else { panic!("no turn at {now}") };
        let wait = state.finish(now, &RULE, ticket, failed("passing", SECOND, false)).expect("a cooldown");
        let Claim::Blocked(block) = state.claim(now, &RULE, false, None) else { panic!("not blocked") };
        assert_eq!((block.kind.as_str(), block.wait), ("passing", wait));
        waits.push(wait.as_secs());
        now += wait;
    }
    assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
    assert!(waits[6..].iter().all(|wait| *wait == 60), "{waits:?}");
    for _mint in 0..RULE.most {
        let Claim::Yours(ticket) = state.claim(now, &RULE, false, None) else { panic!("no turn at {now}") };
        let outcome = RenewalResult::Renewed { sealed: None, renew_in: RULE.time, expires_in: RULE.time };
        assert_eq!(state.finish(now, &RULE, ticket, outcome), None);
    }
    assert!(matches!(state.claim(now, &RULE, false, None), Claim::TooOften(_)), "ten were made");
}

#[test]
fn renewals_whose_answers_are_lost_count_like_those_of_processes_that_died() {
    let (mut state, now) = (RenewalState::default(), datetime!(2026-03-01 12:00 UTC));
    for attempt in 0..RULE.most {
        let now = now + SECOND * attempt;
        let Claim::Yours(ticket) = state.claim(now, &RULE, false, None) else { panic!("no turn at {now}") };
        if attempt % 2 == 0 {
            state.finish(now, &RULE, ticket, failed("passing", Duration::ZERO, true));
        } else {
            // Its process died, and its lease has ended.
            state.current = None;
        }
    }
    assert!(matches!(state.claim(now + MINUTE, &RULE, false, None), Claim::TooOften(_)));
}

#[test]
fn a_late_report_gives_its_own_place_back_and_begins_no_cooldown() {
    let (mut state, now) = (RenewalState::default(), datetime!(2026-03-01 12:00 UTC));
    let one = RenewalRule { most: 2, ..RULE };
    let Claim::Yours(late) = state.claim(now, &one, false, None) else { panic!("no turn") };
    let later = now + RULE.time;
    let Claim::Yours(next) = state.claim(later, &one, false, None) else { panic!("no turn") };
    assert_eq!(state.finish(later, &one, late, failed("passing", SECOND, false)), None);
    assert!(matches!(state.claim(later, &one, false, None), Claim::Another(_)), "the next one is under way");
    assert_eq!(state.finish(later, &one, next, failed("passing", SECOND, true)), Some(SECOND));
    assert!(matches!(state.claim(later + SECOND, &one, false, None), Claim::Yours(_)), "one of two counts");
}

#[test]
fn a_failure_of_another_kind_and_a_success_begin_with_a_short_cooldown_again() {
    let (mut state, mut now) = (RenewalState::default(), datetime!(2026-03-01 12:00 UTC));
    let mut end = |outcome: RenewalResult| {
        let Claim::Yours(ticket) = state.claim(now, &RULE, false, None) else { panic!("no turn") };
        let wait = state.finish(now, &RULE, ticket, outcome);
        now += wait.unwrap_or_default();
        wait.map(|wait| wait.as_secs())
    };
    let passing = || failed("passing", SECOND, false);
    assert_eq!([end(passing()), end(passing())], [Some(1), Some(2)]);
    assert_eq!(end(failed("refused", MINUTE, false)), Some(60));
    assert_eq!([end(passing()), end(passing())], [Some(1), Some(2)]);
    let renewed = RenewalResult::Renewed { sealed: None, renew_in: RULE.time, expires_in: RULE.time };
    assert_eq!([end(renewed), end(passing())], [None, Some(1)]);
}

#[test]
fn a_cooldown_that_an_older_version_stored_is_read() {
    let state =
        serde_json::from_str::<RenewalState>(r#"{"block":{"kind":"passing","reason":"x","until":0}}"#);
    let mut state = state.expect("a state");
    let now = datetime!(2026-03-01 12:00 UTC);
    let Claim::Yours(ticket) = state.claim(now, &RULE, false, None) else { panic!("no turn") };
    let wait = state.finish(now, &RULE, ticket, failed("passing", SECOND, false));
    assert_eq!(wait, Some(SECOND * 2));
}
