//! Which changes the source announced by a delivery.

use time::{Date, OffsetDateTime};

use crate::record::EntityType;

/// An entity type whose changes the source announces, and where the deliveries arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The entity type of the records.
    pub entity: EntityType,
    /// The entity type under which the inbox keeps the deliveries. Two entity types may share one address.
    pub delivered_as: EntityType,
}

/// The changes of one entity type on one day, and the deliveries that announced them.
///
/// A change is a version of a record whose time is on the day and that a list of the source can have shown: the newest
/// version of each record, and each version that a list brought before any delivery did. A change counts as delivered
/// if the inbox has a delivery of the record that arrived at its time or later.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// The day.
    pub day: Date,
    /// The entity type.
    pub entity: EntityType,
    /// The number of changes.
    pub changes: u64,
    /// The number of changes for which a delivery arrived.
    pub delivered: u64,
    /// The median of the time from a change to its delivery, in seconds; `None` without deliveries.
    pub late_p50: Option<f64>,
    /// The 99th percentile of the same time.
    pub late_p99: Option<f64>,
}

impl Coverage {
    /// Returns the share of delivered changes in percent; `None` without changes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
    pub fn share_percent(&self) -> Option<f64> {
        (self.changes > 0).then(|| self.delivered as f64 * 100.0 / self.changes as f64)
    }

    /// Returns the number of changes without a delivery.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.changes.saturating_sub(self.delivered)
    }
}

/// A look at the source's own history of deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryCheck {
    /// The time of the look.
    pub at: OffsetDateTime,
    /// Whether the source answered. If it did not, `detail` says why, and nothing is known.
    pub is_answered: bool,
    /// One line about the answer.
    pub detail: String,
    /// The number of calls.
    pub calls: u64,
    /// The number of failed deliveries.
    pub failed: u64,
    /// The number of records that are read again because of them.
    pub read_again: u64,
}
