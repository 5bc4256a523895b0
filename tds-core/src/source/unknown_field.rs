//! Fields that a source sends and that the mirror has no column for.

use crate::record::EntityType;

/// A field that the source sent and that no column takes, although nothing says why. Its value is in `raw`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// The entity type of the records.
    pub entity: EntityType,
    /// The place of the field in a record, such as `colour` or `line_items[].colour`.
    pub path: String,
    /// The number of times that a record with the field was read.
    pub records: u64,
}
