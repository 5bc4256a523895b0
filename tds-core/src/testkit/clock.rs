//! A clock that tests set.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use time::{OffsetDateTime, macros::datetime};

use crate::{clock::Clock, lock::lock};

/// A clock that stands still until a test moves it. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<Mutex<OffsetDateTime>>,
    tick: Duration,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new(datetime!(2026-06-01 12:00 UTC))
    }
}

impl ManualClock {
    /// Creates a clock that shows this time.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self { now: Arc::new(Mutex::new(now)), tick: Duration::ZERO }
    }

    /// Makes every reading move the clock by `tick`, so that no two readings show the same time.
    #[must_use]
    pub fn ticking(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Sets the clock.
    pub fn set(&self, now: OffsetDateTime) {
        *self.lock() = now;
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        *now += by;
    }

    fn lock(&self) -> MutexGuard<'_, OffsetDateTime> {
        lock(&self.now)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        let mut now = self.lock();
        *now += self.tick;
        *now
    }
}
