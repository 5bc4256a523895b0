//! Repeats within one request: a few of them, within seconds. The queue is responsible for durable retries.

use std::time::Duration;

use backoff::{
    backoff::Backoff,
    exponential::{ExponentialBackoff, ExponentialBackoffBuilder},
};
use tokio::time::Instant;

/// The maximum number of tries of one request.
const TRIES: u32 = 3;
/// The time after which no further try starts.
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);
/// The longest wait within a request. Longer waits are left to the queue.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The tries of one request.
pub(crate) struct Tries {
    made: u32,
    backoff: ExponentialBackoff<TokioClock>,
}

impl Tries {
    /// Creates a request without tries.
    pub(crate) fn new() -> Self {
        let backoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(200))
            .with_multiplier(3.0)
            .with_randomization_factor(0.5)
            .with_max_interval(LONGEST_WAIT)
            .with_max_elapsed_time(Some(GIVE_UP_AFTER))
            .build();
        Self { made: 0, backoff }
    }

    /// Returns how long to wait before the next try, after a try that failed. `None` means that there is no further
    /// try. `advised` is the wait that the other side asked for.
    pub(crate) fn next_wait(&mut self, advised: Option<Duration>) -> Option<Duration> {
        self.made += 1;
        if self.made >= TRIES {
            return None;
        }
        let wait = self.backoff.next_backoff()?;
        let wait = advised.map_or(wait, |advised| advised.max(wait));
        (wait <= LONGEST_WAIT).then_some(wait)
    }
}

/// The time limit follows tokio's clock, like every other wait.
#[derive(Debug, Default, Clone)]
struct TokioClock;

impl backoff::Clock for TokioClock {
    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_has_three_tries_within_seconds() {
        let mut tries = Tries::new();
        assert!(tries.next_wait(None).is_some_and(|wait| wait < Duration::from_secs(1)));
        assert!(tries.next_wait(None).is_some_and(|wait| wait <= LONGEST_WAIT));
        assert_eq!(tries.next_wait(None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_took_long_is_not_repeated() {
        let mut tries = Tries::new();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(tries.next_wait(None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_left_to_the_queue() {
        assert_eq!(Tries::new().next_wait(Some(Duration::from_secs(30))), None);
        assert_eq!(Tries::new().next_wait(Some(Duration::from_secs(1))), Some(Duration::from_secs(1)));
    }
}
