//! The figures of the outbox.

use crate::record::EntityType;

/// What of an entity type waits in the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Changes that the source does not have yet. Changes that wait for a person are not among them.
    pub pending: u64,
    /// Conflicts that a person has to decide.
    pub conflicts: u64,
    /// Records whose create was sent and whose result is not known: TDS looks for them before it sends them again.
    pub in_doubt: u64,
}

/// The changes that were captured in the mode `shadow`: what would have been pushed in the last days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowFigures {
    /// The entity types that are in the mode `shadow` now.
    pub entities: Vec<EntityType>,
    /// The number of changes whose push was computed.
    pub changes: u64,
    /// The number of these changes whose push would have been refused.
    pub refused: u64,
    /// The most frequent reasons of a refusal, most frequent first.
    pub reasons: Vec<RefusedChanges>,
}

/// Changes whose push would have been refused for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedChanges {
    /// The entity type of the records.
    pub entity: EntityType,
    /// The reason.
    pub reason: String,
    /// The number of changes.
    pub count: u64,
}
