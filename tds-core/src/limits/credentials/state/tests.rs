use std::time::Duration;

use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const RULE: RenewalRule =
    RenewalRule { most: 10, within: Duration::from_secs(600), time: Duration::from_secs(30) };

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Processes crash, fail and succeed. A renewal takes any time up to its limit, and so does its arrival at the
    /// source.
    #[test]
    fn no_window_of_ten_minutes_sees_more_than_ten_renewals(
        steps in proptest::collection::vec((0_i64..120_000, 0_i64..30_000, 0_u8..3), 1..200)
    ) {
        let (mut state, mut now) = (RenewalState::default(), datetime!(2026-03-01 12:00 UTC));
        let mut arrivals = Vec::new();
        for (gap, takes, fate) in steps {
            now += time::Duration::milliseconds(gap);
            let Claim::Yours(ticket) = state.claim(now, &RULE, false, None) else { continue };
            let ends = now + time::Duration::milliseconds(takes);
            arrivals.push(ends);
            let outcome = match fate {
                0 => continue,
                1 => RenewalResult::Renewed { sealed: None, renew_in: RULE.time, expires_in: RULE.time },
                _ => RenewalResult::Failed(Cooldown { kind: String::new(), reason: String::new(), wait: Duration::ZERO }),
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
