//! What is being disturbed just now, so that only answers of calm moments are judged.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::Journal;

/// Which part a disturbance is about.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Database,
    Copy(usize),
}

/// Until when each part counts as disturbed, in milliseconds of the journal.
#[derive(Default)]
pub(crate) struct Weather {
    database: AtomicU64,
    copies: [AtomicU64; 2],
}

impl Weather {
    fn of(&self, part: Part) -> &AtomicU64 {
        match part {
            Part::Database => &self.database,
            Part::Copy(index) => &self.copies[index],
        }
    }

    /// A disturbance begins or goes on, and its traces last so long.
    pub(crate) fn storm(&self, journal: &Journal, part: Part, millis: u64) {
        self.of(part).fetch_max(journal.now() + millis, Ordering::SeqCst);
    }

    /// A disturbance is over; its traces last so long.
    pub(crate) fn clear(&self, journal: &Journal, part: Part, millis: u64) {
        self.of(part).store(journal.now() + millis, Ordering::SeqCst);
    }

    /// Whether database and copy have been calm since this moment.
    pub(crate) fn was_calm(&self, copy: usize, since: u64) -> bool {
        [Part::Database, Part::Copy(copy)]
            .into_iter()
            .all(|part| self.of(part).load(Ordering::SeqCst) < since)
    }
}
