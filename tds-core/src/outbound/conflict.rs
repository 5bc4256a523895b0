//! Conflicts: fields that both sides changed since their last common state.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

pub use crate::ids::ConflictId;
use crate::{
    closed_set::closed_set,
    record::{EntityType, RecordId},
};

/// The field of a conflict between a removal on one side and a change on the other.
pub const PRESENCE: &str = "deleted_at";

/// Returns the column or the child table of a field: the name before the row, such as `invoice_lines`.
#[must_use]
pub fn column_of(field: &str) -> &str {
    field.split('[').next().unwrap_or(field)
}

closed_set! {
    /// A side of the sync.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Side {
        /// The source.
        Source = "source",
        /// The target.
        Target = "target",
    }
}

/// A field that both sides changed. All three versions are kept, whoever wins.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldConflict {
    /// The column or, for a field of a child row, the table, what identifies the row, and the column, such as
    /// `invoice_lines[460000000567114].quantity`. Without a column, the whole row.
    pub field: String,
    /// The last common value.
    pub base: Value,
    /// The value of the target.
    pub target: Value,
    /// The value of the source.
    pub source: Value,
    /// The side that won; `None`: a person has to decide.
    pub winner: Option<Side>,
}

closed_set! {
    /// The state of a conflict.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ConflictStatus {
        /// A person has to decide.
        Open = "open",
        /// The conflict is decided, by a policy or by a person.
        Resolved = "resolved",
    }
}

/// The conflict of one record: the fields that one push found changed on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The id of the conflict.
    pub id: ConflictId,
    /// The entity type of the record.
    pub entity: EntityType,
    /// The id of the record at the source.
    pub remote_id: Option<RecordId>,
    /// The local id of the record.
    pub local_id: i64,
    /// Whether a person has to decide.
    pub status: ConflictStatus,
    /// The fields.
    pub fields: Vec<FieldConflict>,
    /// When the conflict was found.
    pub created_at: OffsetDateTime,
    /// When the conflict was decided.
    pub resolved_at: Option<OffsetDateTime>,
    /// Who decided: the name of an operator, or `policy`.
    pub resolved_by: Option<String>,
}

closed_set! {
    /// The decision of a person on a whole conflict.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Take {
        /// The values of the source.
        Source = "source",
        /// The values of the target.
        Target = "target",
        /// A decision for each field.
        Merge = "merge",
    }
}

/// The decision of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    /// The decision on fields that `fields` does not name. With `Merge`, every field of the conflict has to be named.
    pub take: Take,
    /// The values of single fields. Such a value is written to the target and wins. A field of a child row can only take
    /// the value of one of the two sides.
    pub fields: BTreeMap<String, Value>,
    /// The name of the operator.
    pub by: String,
}
