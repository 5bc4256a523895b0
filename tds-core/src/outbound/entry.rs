//! The entries of the outbox: one for each captured change.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::Operation;
pub use crate::ids::OutboxId;
use crate::{
    closed_set::closed_set,
    mirror::FieldDifference,
    queue::ItemId,
    record::{EntityType, RecordId},
};

/// The beginning of the note of an entry with the status `shadow` whose push would have been refused. The reason follows.
pub const WOULD_BE_REFUSED: &str = "the push would have been refused: ";

closed_set! {
    /// What has become of a captured change.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum EntryStatus {
        /// The change is on its way. Its columns are kept when the record is read.
        Pending = "pending",
        /// The source has the change.
        Pushed = "pushed",
        /// There was nothing to write: the source already had the values, or the other side won.
        Unchanged = "unchanged",
        /// The mode is `shadow`: what would have been pushed was computed, and no call was made.
        Shadow = "shadow",
        /// Both sides changed a field, and a person has to decide.
        Conflict = "conflict",
        /// An operator discarded the push.
        Discarded = "discarded",
    }
}

/// An entry of the outbox, with its push.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxEntry {
    /// The id of the entry.
    pub id: OutboxId,
    /// The entity type of the record.
    pub entity: EntityType,
    /// The local id of the record.
    pub local_id: i64,
    /// The id of the record at the source, if it is known.
    pub remote_id: Option<RecordId>,
    /// What is to be done at the source.
    pub operation: Operation,
    /// The columns and child tables that changed; `None`: any of them.
    pub fields: Option<BTreeSet<String>>,
    /// What has become of the change.
    pub status: EntryStatus,
    /// When the change was captured.
    pub captured_at: OffsetDateTime,
    /// When the change reached its end state.
    pub settled_at: Option<OffsetDateTime>,
    /// The live item or dead letter of the push, if there is one.
    pub item: Option<ItemId>,
    /// The status of that item, its attempts and its last error.
    pub item_status: Option<String>,
    /// The number of failed attempts of that item.
    pub attempts: u32,
    /// The last error of that item, or why the push waits.
    pub error: Option<String>,
    /// Whether a create of the record was sent and its outcome is not known.
    pub in_doubt: bool,
    /// What the push wrote, or would have written: the source's value before, and the target's value.
    pub differences: Vec<FieldDifference>,
    /// What an operator should know about the end state, such as columns that the source does not take.
    pub note: Option<String>,
}

/// Which entries to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxFilter {
    /// Only entries with this status.
    pub status: Option<EntryStatus>,
    /// Only entries of this entity type.
    pub entity: Option<EntityType>,
}
