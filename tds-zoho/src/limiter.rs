//! All limits of the organization: a call is sent with a [`Permit`], and only this module makes them.

mod ledger;
mod line;
mod pace;
mod pause;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tds_core::{Clock, Error, Lane, Result};
use tokio::time::{Instant, sleep};

use crate::{
    config::ZohoConfig,
    error::{Limit, throttled},
    jitter::chance,
    retry::LONGEST_WAIT,
};

use ledger::Ledger;
pub(crate) use ledger::Quota;
use line::{Line, Slot};
use pace::Pace;
use pause::{Pauses, Wish};

/// What is left to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Calls that the current window of 60 seconds has left; 0 during a pause.
    pub minute_left: Option<u32>,
    /// Calls left today for this program; `None`: neither a limit is configured nor did Zoho state one.
    pub day_left: Option<u32>,
}

/// The right to send one call now. A place among the calls in flight is taken until it is dropped.
pub(crate) struct Permit {
    issued_at: Instant,
    _slot: Slot,
}

impl Permit {
    /// When the call was let go.
    pub(crate) fn issued_at(&self) -> Instant {
        self.issued_at
    }
}

/// What Zoho said about limits in the headers of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints {
    /// `Retry-After`, 1 second to 24 hours.
    pub(crate) retry_after: Option<Duration>,
    /// The quota of the day, where all three headers make sense.
    pub(crate) quota: Option<Quota>,
    /// When the quota begins anew, 1 second to 24 hours.
    pub(crate) reset: Option<Duration>,
}

/// The limits of one organization in this process.
pub(crate) struct Limiter {
    line: Arc<Line>,
    ledger: Mutex<Ledger>,
    pauses: Mutex<Pauses>,
    clock: Arc<dyn Clock>,
}

impl Limiter {
    pub(crate) fn new(config: &ZohoConfig, clock: Arc<dyn Clock>) -> Self {
        let pace = Pace::new(config.requests_per_minute, config.max_concurrency);
        Self {
            line: Arc::new(Line::new(pace, config.max_concurrency)),
            ledger: Mutex::new(Ledger::new(config.daily_limit)),
            pauses: Mutex::new(Pauses::default()),
            clock,
        }
    }

    /// Waits for the right to send one call. Pauses up to two seconds are waited for.
    ///
    /// # Errors
    /// `Throttled` during a longer pause, or when the day's budget of the lane is spent.
    pub(crate) async fn acquire(&self, lane: Lane) -> Result<Permit> {
        loop {
            self.wait_for_pause(lane).await?;
            if let Some(wait) = lock(&self.ledger).refuses(lane, self.clock.now()) {
                return Err(day_is_spent(wait));
            }
            // Sent away: a pause began.
            let Some(slot) = self.line.enter(lane).await else { continue };
            if self.blocked(lane).is_some() {
                continue;
            }
            lock(&self.ledger).take(lane, self.clock.now()).map_err(day_is_spent)?;
            return Ok(Permit { issued_at: Instant::now(), _slot: slot });
        }
    }

    /// Notes an answer that was no refusal.
    pub(crate) fn went_well(&self, issued_at: Instant, hints: &Hints) {
        self.correct(hints);
        lock(&self.pauses).went_well(issued_at);
        self.line.widen();
    }

    /// Notes a refusal. How long everybody pauses now.
    pub(crate) fn refused(&self, limit: Limit, issued_at: Instant, hints: &Hints) -> Duration {
        self.correct(hints);
        if limit == Limit::Concurrency {
            self.line.narrow();
        }
        let wish = Wish { retry_after: hints.retry_after, reset: hints.reset };
        let pause = lock(&self.pauses).refused(limit, issued_at, Instant::now(), wish, chance());
        tracing::warn!(?limit, seconds = pause.as_secs(), "Zoho refused a call: the organization pauses");
        self.line.clear();
        pause
    }

    /// What is left.
    pub(crate) fn budget(&self) -> Budget {
        let paused = self.blocked(Lane::Outbound).is_some();
        let minute_left = if paused { 0 } else { self.line.minute_left() };
        Budget { minute_left: Some(minute_left), day_left: lock(&self.ledger).left(self.clock.now()) }
    }

    /// How long at least one lane must wait for a pause or for tomorrow.
    pub(crate) fn paused_for(&self) -> Option<Duration> {
        let pause = self.blocked(Lane::Outbound).map(|(_, wait)| wait);
        pause.or_else(|| lock(&self.ledger).refuses(Lane::Verify, self.clock.now()))
    }

    async fn wait_for_pause(&self, lane: Lane) -> Result<()> {
        while let Some((limit, wait)) = self.blocked(lane) {
            if wait > LONGEST_WAIT {
                return Err(throttled(limit, &"Zoho asked for a pause", wait));
            }
            sleep(wait).await;
        }
        Ok(())
    }

    fn blocked(&self, lane: Lane) -> Option<(Limit, Duration)> {
        lock(&self.pauses).blocks(lane, Instant::now())
    }

    fn correct(&self, hints: &Hints) {
        if let Some(quota) = hints.quota {
            lock(&self.ledger).correct(quota, self.clock.now());
        }
    }
}

fn day_is_spent(wait: Duration) -> Error {
    throttled(Limit::Day, &"the day's calls are spent, but for a reserve", wait)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
