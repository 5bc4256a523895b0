//! The times of the disturbances, so that only answers of calm moments are judged.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::Journal;

/// The part that a disturbance affects.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Database,
    Process(usize),
}

/// The time until which each part counts as disturbed, in milliseconds of the journal.
#[derive(Default)]
pub(crate) struct Weather {
    database: AtomicU64,
    processes: [AtomicU64; 2],
}

impl Weather {
    fn of(&self, part: Part) -> &AtomicU64 {
        match part {
            Part::Database => &self.database,
            Part::Process(index) => &self.processes[index],
        }
    }

    /// Notes that a disturbance begins or continues: the part counts as disturbed for at least this many milliseconds.
    pub(crate) fn storm(&self, journal: &Journal, part: Part, millis: u64) {
        self.of(part).fetch_max(journal.now() + millis, Ordering::SeqCst);
    }

    /// Notes that a disturbance is over: the part still counts as disturbed for this many milliseconds.
    pub(crate) fn clear(&self, journal: &Journal, part: Part, millis: u64) {
        self.of(part).store(journal.now() + millis, Ordering::SeqCst);
    }

    /// Returns whether the database and the process have been calm since this moment.
    pub(crate) fn was_calm(&self, process: usize, since: u64) -> bool {
        [Part::Database, Part::Process(process)]
            .into_iter()
            .all(|part| self.of(part).load(Ordering::SeqCst) < since)
    }
}
