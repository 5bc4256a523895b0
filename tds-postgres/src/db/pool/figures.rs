//! The figures of a pool, for monitors.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The figures of a pool at one moment. The counts begin at zero when the process starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolFigures {
    /// The maximum number of connections.
    pub most: u32,
    /// The number of open connections that no task uses.
    pub idle: usize,
    /// The number of open connections that tasks use.
    pub in_use: usize,
    /// The number of tasks that wait for a connection.
    pub waiting: usize,
    /// How often a task had to wait because all connections were in use.
    pub waits: u64,
    /// How often a task got no connection in time.
    pub timeouts: u64,
}

impl PoolFigures {
    /// Returns true if tasks use fewer connections than there may be.
    pub(super) fn has_free_place(&self) -> bool {
        u32::try_from(self.in_use).is_ok_and(|in_use| in_use < self.most)
    }
}

/// What a pool counts.
#[derive(Default)]
pub(super) struct Counts {
    waiting: AtomicUsize,
    waits: AtomicU64,
    timeouts: AtomicU64,
}

impl Counts {
    /// Counts a task that asks for a connection, until the returned value is dropped.
    pub(super) fn ask(&self, all_are_lent: bool) -> Waiting<'_> {
        if all_are_lent {
            self.waits.fetch_add(1, Ordering::Relaxed);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Counts a task that got no connection in time.
    pub(super) fn give_up(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn figures(&self, most: u32, open: usize, idle: usize) -> PoolFigures {
        PoolFigures {
            most,
            idle,
            in_use: open.saturating_sub(idle),
            waiting: self.waiting.load(Ordering::Relaxed),
            waits: self.waits.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
        }
    }
}

/// A task that waits for a connection.
pub(super) struct Waiting<'a>(&'a Counts);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_waits_until_it_has_its_connection_or_gives_up() {
        let counts = Counts::default();
        let (first, second) = (counts.ask(false), counts.ask(true));
        assert_eq!(counts.figures(5, 3, 1).waiting, 2);
        counts.give_up();
        drop((first, second));
        let expected = PoolFigures { most: 5, idle: 1, in_use: 2, waiting: 0, waits: 1, timeouts: 1 };
        assert_eq!(counts.figures(5, 3, 1), expected);
    }
}
