//! The ceiling of calls in any 60 seconds, with governor's GCRA on tokio's clock.

use std::{collections::VecDeque, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use tokio::time::Instant;

/// Zoho's window.
const WINDOW: Duration = Duration::from_secs(60);

/// Gives the right to send.
pub(super) struct Pacer {
    ceiling: u32,
    bucket: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    clock: TokioClock,
    recent: VecDeque<Instant>,
}

impl Pacer {
    /// Creates a pacer that keeps below `ceiling` in any window at Zoho's side, even if up to `concurrency` earlier
    /// calls arrive late.
    pub(super) fn new(ceiling: u32, concurrency: usize) -> Self {
        let (burst, period) = shape(ceiling, concurrency);
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_minute(NonZeroU32::MIN))
            .allow_burst(burst);
        let clock = TokioClock { start: Instant::now() };
        let bucket = RateLimiter::direct_with_clock(quota, clock.clone());
        Self { ceiling, bucket, clock, recent: VecDeque::new() }
    }

    fn forget_old(&mut self) {
        let now = Instant::now();
        while self.recent.front().is_some_and(|sent| now.duration_since(*sent) > WINDOW) {
            self.recent.pop_front();
        }
    }
}

impl tds_core::limits::budget::Pacer for Pacer {
    fn take(&mut self) -> Result<(), Duration> {
        match self.bucket.check() {
            Ok(()) => {
                self.forget_old();
                self.recent.push_back(Instant::now());
                Ok(())
            }
            Err(not_until) => Err(not_until.wait_time_from(self.clock.now())),
        }
    }

    fn left(&mut self) -> u32 {
        self.forget_old();
        self.ceiling.saturating_sub(u32::try_from(self.recent.len()).unwrap_or(u32::MAX))
    }
}

/// Returns the burst and the period of refill. A window contains at most the burst and the refill. The rest up to
/// the ceiling is for calls that were sent before the window and arrive in it, which are never more than the calls
/// in flight.
fn shape(ceiling: u32, concurrency: usize) -> (NonZeroU32, Duration) {
    let burst = NonZeroU32::new(ceiling / 20).unwrap_or(NonZeroU32::MIN);
    let in_flight = u32::try_from(concurrency).unwrap_or(u32::MAX).min(ceiling / 10);
    let margin = (ceiling.saturating_mul(7) / 100).max(in_flight).max(1);
    let refill = ceiling.saturating_sub(burst.get()).saturating_sub(margin);
    let period = match refill {
        0 => WINDOW + Duration::from_secs(1),
        calls => WINDOW / calls,
    };
    (burst, period)
}

/// Governor's own wait never wakes on tokio's paused clock. The pacer therefore uses tokio's clock, and the wait
/// queue sleeps.
#[derive(Clone, Debug)]
struct TokioClock {
    start: Instant,
}

impl Clock for TokioClock {
    // Governor accepts any start of time. This clock counts from its creation.
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests;
