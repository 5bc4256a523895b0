//! Properties of the retry rule for failed items.

use std::time::Duration;

use proptest::prelude::*;
use tds_core::{
    error::{Error, ErrorKind, Retry},
    retry::{Decision, RetryPolicy, doubled},
};

fn policy() -> impl Strategy<Value = RetryPolicy> {
    (1..20u32, 1..10_000u64, 1..2_000_000u64).prop_map(|(max_attempts, base, max)| RetryPolicy {
        max_attempts,
        base: Duration::from_millis(base),
        max: Duration::from_millis(max.max(base)),
    })
}

fn transient(retry_after: Option<Duration>) -> Error {
    Error::new(ErrorKind::Unavailable, Retry::Transient { retry_after }, "no answer")
}

proptest! {
    #[test]
    fn the_nth_retry_waits_between_the_base_and_its_double_to_the_nth(
        policy in policy(), n in 1..200u32, random in 0.0..1.0f64,
    ) {
        let wait = policy.backoff(n, random);
        let top = policy.base.saturating_mul(2u32.saturating_pow(n)).min(policy.max);
        prop_assert!(wait >= policy.base.min(top) && wait <= top, "{wait:?} is not up to {top:?}");
    }

    #[test]
    fn attempts_end_in_the_dead_letters_and_not_before(
        policy in policy(), failed_before in 0..40u32, random in 0.0..1.0f64,
    ) {
        let decision = policy.decide(failed_before, &transient(None), random);
        let dead = decision == Decision::DeadLetter;
        prop_assert_eq!(dead, failed_before + 1 >= policy.max_attempts);
    }

    #[test]
    fn a_retry_never_comes_before_the_time_that_the_source_advised(
        policy in policy(), seconds in 0..100_000u64, random in 0.0..1.0f64,
    ) {
        let advised = Duration::from_secs(seconds);
        if let Decision::Retry(wait) = policy.decide(0, &transient(Some(advised)), random) {
            prop_assert!(wait >= advised);
        }
    }

    #[test]
    fn a_throttled_attempt_is_not_spent_however_often(
        policy in policy(), failed_before in 0..1_000u32, seconds in 0..100_000u64, random in 0.0..1.0f64,
    ) {
        let retry_after = Duration::from_secs(seconds);
        for retry in [Retry::Throttled { retry_after }, Retry::AuthPaused { retry_after }] {
            let error = Error::new(ErrorKind::RateLimited, retry, "too many requests");
            match policy.decide(failed_before, &error, random) {
                Decision::Release(wait) => prop_assert!(wait >= retry_after),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn an_error_that_no_retry_can_mend_is_a_dead_letter_at_once(policy in policy(), random in 0.0..1.0f64) {
        prop_assert_eq!(policy.decide(0, &Error::invalid("no name"), random), Decision::DeadLetter);
    }
}

#[test]
fn a_doubled_wait_begins_with_the_first_and_never_passes_the_longest() {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    let waits = [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(|times| doubled(second, times, minute).as_secs());
    assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60, 60]);
    assert_eq!(doubled(minute, 0, second), second);
    assert_eq!(doubled(minute, u32::MAX, Duration::MAX), minute * u32::MAX);
    assert_eq!(doubled(Duration::MAX, 1, Duration::MAX), Duration::MAX);
    assert_eq!(doubled(Duration::ZERO, 9, minute), Duration::ZERO);
}

#[test]
fn a_base_above_the_maximum_waits_the_maximum() {
    let policy =
        RetryPolicy { base: Duration::from_secs(60), max: Duration::from_secs(1), ..RetryPolicy::default() };
    assert_eq!(policy.backoff(1, 0.5), Duration::from_secs(1));
}
