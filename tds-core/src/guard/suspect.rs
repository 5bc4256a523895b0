//! Implausible reads. Such a read is accepted when a later read shows the same state.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    guard::RereadReason,
    record::{Content, Observed, Read, Record},
};

/// An implausible read that waits for its confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The version that the read showed.
    pub version: Option<OffsetDateTime>,
    /// The reason why the read was not accepted.
    pub reason: RereadReason,
    /// When the read ended. If the time is not known, no read confirms the suspect; the next such read replaces it.
    #[serde(default)]
    pub ended: Option<OffsetDateTime>,
}

impl Suspect {
    pub(super) fn new(read: &Read, reason: RereadReason) -> Self {
        let version = match &read.content {
            Content::Present(record) => record.version,
            Content::Absent => None,
        };
        Self { version, reason, ended: Some(read.observed.interval().ended) }
    }

    /// Returns true for a call that shows the same state and that began after the implausible read ended. The same
    /// answer, handled twice, is only one observation, and a pushed body may show any earlier moment: neither confirms
    /// the suspect.
    pub(super) fn is_confirmed_by(&self, reason: RereadReason, read: &Read, record: &Record) -> bool {
        let Observed::Call(seen) = read.observed else { return false };
        self.reason == reason
            && self.version == record.version
            && self.ended.is_some_and(|ended| seen.began > ended)
    }
}
