//! The key of a record.

use std::fmt;

use super::{EntityType, RecordId};

/// The key of a record: its entity type and its id at the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// The entity type of the record.
    pub entity: EntityType,
    /// The record's id at the source.
    pub id: RecordId,
}

impl RecordKey {
    /// Creates the key of a record.
    #[must_use]
    pub fn new(entity: EntityType, id: RecordId) -> Self {
        Self { entity, id }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.entity, self.id)
    }
}
