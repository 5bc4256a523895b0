//! The results of the last calls of this process to Zoho.

use std::sync::Mutex;

use tds_core::lock::lock;
use time::OffsetDateTime;

/// The last observations.
#[derive(Default)]
pub(crate) struct Pulse {
    seen: Mutex<Seen>,
}

/// How the last calls ended.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// When Zoho last answered within its protocol.
    pub(crate) last_success_at: Option<OffsetDateTime>,
    /// Why the last call was given up, where it was.
    pub(crate) failure: Option<String>,
}

impl Pulse {
    /// Records that Zoho answered within its protocol.
    pub(crate) fn succeeded(&self, now: OffsetDateTime) {
        *lock(&self.seen) = Seen { last_success_at: Some(now), failure: None };
    }

    /// Records that a call was given up.
    pub(crate) fn failed(&self, reason: &str) {
        lock(&self.seen).failure = Some(reason.to_owned());
    }

    /// Returns the last observations.
    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}
