//! The retry rule: a pure function that decides whether and when a failed item is tried again, and the doubling wait of
//! all retries.

use std::time::Duration;

use crate::error::{Error, Retry};

/// Returns a wait that doubles with every failure: `first`, doubled `times` times, at most `longest`.
#[must_use]
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

/// The retry rule for failed items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The number of failed attempts after which an item becomes a dead letter.
    pub max_attempts: u32,
    /// The shortest wait before a retry.
    pub base: Duration,
    /// The longest wait before a retry that the rule chooses itself. A longer `retry_after` of the other side is kept.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 8, base: Duration::from_secs(2), max: Duration::from_secs(15 * 60) }
    }
}

/// The decision on a failed item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The item is tried again after this wait. The failure spent an attempt.
    Retry(Duration),
    /// The item is tried again after this wait. The failure spent no attempt.
    Release(Duration),
    /// The item becomes a dead letter.
    DeadLetter,
}

impl RetryPolicy {
    /// Decides on an error of an item that failed `failed_before` times before. `random` is a number in `0.0..1.0`.
    ///
    /// - A permanent error makes the item a dead letter.
    /// - A transient error makes the item a dead letter when it is the `max_attempts`-th failure. Otherwise the n-th
    ///   retry waits a random time between `base` and `min(max, base·2ⁿ)`, and never less than the other side asked
    ///   for.
    /// - A throttled error, or one that pauses authentication, releases the item for the stated pause plus up to 10
    ///   percent of it.
    #[must_use]
    pub fn decide(&self, failed_before: u32, error: &Error, random: f64) -> Decision {
        match error.retry() {
            Retry::Permanent => Decision::DeadLetter,
            Retry::Throttled { retry_after } | Retry::AuthPaused { retry_after } => {
                Decision::Release(retry_after.mul_f64(1.0 + random * 0.1))
            }
            Retry::Transient { .. } if failed_before + 1 >= self.max_attempts => Decision::DeadLetter,
            Retry::Transient { retry_after } => {
                let wait = self.backoff(failed_before + 1, random);
                Decision::Retry(wait.max(retry_after.unwrap_or_default()))
            }
        }
    }

    /// Returns the wait before the n-th retry, regardless of what the other side requires.
    #[must_use]
    pub fn backoff(&self, n: u32, random: f64) -> Duration {
        let top = doubled(self.base, n, self.max);
        let low = self.base.min(top);
        low + (top - low).mul_f64(random.clamp(0.0, 1.0))
    }
}
