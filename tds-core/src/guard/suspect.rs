//! Implausible reads: believed once a later look shows the same.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    guard::RereadReason,
    record::{Content, Observed, Read, Record},
};

/// An implausible read that waits for its confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The version it showed.
    pub version: Option<OffsetDateTime>,
    /// Why it was not believed.
    pub reason: RereadReason,
    /// When it was over. Where that is not known nothing confirms it; the next such read takes its place.
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

    /// True for a call that shows the same and began after the suspicious read was over. The same answer
    /// handled twice is one look, and a pushed body may show any earlier moment: neither confirms.
    pub(super) fn is_confirmed_by(&self, reason: RereadReason, read: &Read, record: &Record) -> bool {
        let Observed::Call(seen) = read.observed else { return false };
        self.reason == reason
            && self.version == record.version
            && self.ended.is_some_and(|ended| seen.began > ended)
    }
}
