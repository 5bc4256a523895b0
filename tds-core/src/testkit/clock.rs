//! A clock that tests move.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use time::{OffsetDateTime, macros::datetime};

use crate::clock::Clock;

/// A clock that stands still until it is moved. Clones show the same time.
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
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now: OffsetDateTime) -> Self {
        Self { now: Arc::new(Mutex::new(now)), tick: Duration::ZERO }
    }

    /// Lets every look at the clock move it by this much, so that no two looks show the same time.
    #[must_use]
    pub fn ticking(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Moves it to a time.
    pub fn set(&self, now: OffsetDateTime) {
        *self.lock() = now;
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        *now += by;
    }

    fn lock(&self) -> MutexGuard<'_, OffsetDateTime> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        let mut now = self.lock();
        *now += self.tick;
        *now
    }
}
