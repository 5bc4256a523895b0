//! Whether and when a failed item is tried again: a pure function.

use std::time::Duration;

use crate::error::{Error, Retry};

/// The rule for failed items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts before the dead letters.
    pub max_attempts: u32,
    /// The shortest wait.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 8, base: Duration::from_secs(2), max: Duration::from_secs(15 * 60) }
    }
}

/// What becomes of a failed item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Again after this wait; an attempt was spent.
    Retry(Duration),
    /// Again after this wait; no attempt was spent.
    Release(Duration),
    /// Given up.
    DeadLetter,
}

impl RetryPolicy {
    /// Decides on an error after `failed_before` failed attempts; `random` is in `0.0..1.0`.
    ///
    /// The n-th retry waits a random time between `base` and `min(max, base·2ⁿ)`, and never less than the
    /// other side asked for.
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

    /// The wait before the n-th retry.
    #[must_use]
    pub fn backoff(&self, n: u32, random: f64) -> Duration {
        let top = self.base.saturating_mul(2u32.saturating_pow(n.min(31))).min(self.max);
        let low = self.base.min(top);
        low + (top - low).mul_f64(random.clamp(0.0, 1.0))
    }
}
