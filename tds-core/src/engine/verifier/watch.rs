//! When a process looks for verifications to complete. The look costs two queries, so a process without a reason looks
//! seldom.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A leader looks once in so many ticks without a reason: another process may have died before it completed a
/// verification.
const SELDOM: u32 = 60;

/// The reasons of a process to look.
pub(crate) struct Watch {
    under_way: AtomicBool,
    ticks: AtomicU32,
}

/// A process that starts has a reason: a verification may have ended while no process ran.
impl Default for Watch {
    fn default() -> Self {
        Self { under_way: AtomicBool::new(true), ticks: AtomicU32::new(0) }
    }
}

impl Watch {
    /// Notes that this process has begun a verification, or has executed a part of one.
    pub(crate) fn begin(&self) {
        self.under_way.store(true, Ordering::Relaxed);
    }

    /// Returns true if this process has to look at this tick.
    pub(crate) fn is_due(&self, leads: bool) -> bool {
        let tick = self.ticks.fetch_add(1, Ordering::Relaxed);
        self.under_way.load(Ordering::Relaxed) || leads && tick.is_multiple_of(SELDOM)
    }

    /// Notes whether a verification is still under way.
    pub(crate) fn looked(&self, under_way: bool) {
        self.under_way.store(under_way, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_looks_while_a_verification_is_under_way_and_a_leader_looks_seldom_otherwise() {
        let watch = Watch::default();
        assert!(watch.is_due(false), "a process that starts does not know what it missed");
        watch.looked(false);
        let due = |leads| (0..SELDOM).filter(|_| watch.is_due(leads)).count();
        assert_eq!((due(false), due(true)), (0, 1));
        watch.begin();
        assert!(watch.is_due(false));
    }
}
