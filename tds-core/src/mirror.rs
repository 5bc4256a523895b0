//! The mirror: the tables that records are written to.

mod compare;
mod follow;
mod operation;

use std::collections::HashMap;

use async_trait::async_trait;

pub(crate) use self::compare::{IDENTITIES, identifies, text};
pub use self::{
    compare::{Difference, FieldDifference, Presence, compare_fields, compare_record, compare_rows},
    follow::{DelayedItem, follow_ups},
    operation::Operation,
};
use crate::{
    error::Result,
    guard::{RereadReason, SyncState, is_suspicious_shrink},
    queue::Outcome,
    record::{DateRange, EntityType, Read, Record, RecordId},
};

/// The tables that a record of an entity type fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSchema {
    /// The entity type of the records.
    pub entity: EntityType,
    /// The table with one row per record (the head row), or `None` if a record consists of child rows only.
    pub head: Option<&'static str>,
    /// The tables with several rows per record. The rows of a record in such a table are replaced as a set.
    pub children: &'static [Child],
}

impl MirrorSchema {
    /// Returns true if a set of child rows of the record would shrink suspiciously. `rows` returns the number of
    /// rows that the record has in a child table of the target.
    pub fn shrinks(&self, record: &Record, rows: impl Fn(&str) -> usize) -> bool {
        self.children.iter().filter(|child| child.confirm_shrink).any(|child| {
            let new = record.children.get(child.table);
            new.is_some_and(|new| is_suspicious_shrink(rows(child.table), new.len()))
        })
    }
}

/// A child table of a [`MirrorSchema`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// The name of the table.
    pub table: &'static str,
    /// The column that holds the record's id at the source.
    pub owner: &'static str,
    /// Whether a suspicious shrink of a set needs a second read. A set that becomes empty, or that loses more than
    /// half of at least 20 rows, is then written only when a second read shows the same. See
    /// [`crate::guard::is_suspicious_shrink`].
    pub confirm_shrink: bool,
}

/// The result of applying one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The read is settled: its effect is committed, or there was nothing to write.
    Done(Outcome),
    /// Nothing was written to the record's tables: the record has to be read again.
    Reread(RereadReason),
}

/// The numbers of the live records of an entity type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCount {
    /// All live records.
    pub live: u64,
    /// The live records whose date lies in the requested range; `None` if no range was requested, or if the
    /// target has no column for it.
    pub dated: Option<u64>,
}

/// The target of a sync: tables that show the records of the source.
///
/// # Contract
/// - [`crate::guard`] decides on the locked sync state of the record, in the transaction of the write.
/// - A record, its children and its sync state change together or not at all.
/// - A column that a read does not show keeps its value. The rows of a child table that a read does not show are kept.
/// - A record that cannot be written fails alone, with an error of kind `Invalid` if it breaks a constraint, and its
///   sync state does not change. The other records of the batch are written.
/// - A read that shows only what the target has is [`Outcome::Unchanged`], even if its version is newer. The sync
///   state then has the new version.
/// - A deletion is a tombstone: the head row stays, with `deleted_at` set.
/// - The [`follow_ups`] of a read are enqueued in the transaction of the write. A mirror that keeps no queue, or that
///   does not know derived values, may leave them out: derived values are then as old as their schedules.
///
/// # Errors
/// Unless a method documents other errors, it fails only if the target cannot be reached.
#[async_trait]
pub trait Mirror: Send + Sync {
    /// Returns the accepted sync states of these records. The map has no entry for a record that is not known.
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>>;

    /// Compares reads with the target, at most one read per record. Returns the differences of the records that the
    /// target does not show as they were read: another program changed a row, there is no such row, or the row is a
    /// tombstone. Columns and child tables that a read does not show are not compared. A read of an absent record
    /// differs from a live record.
    ///
    /// The default implementation compares nothing. Rows of such a target that were changed by hand have to be
    /// restored by hand, and no verification finds them.
    async fn compare(
        &self,
        _schema: &MirrorSchema,
        _reads: &[Read],
    ) -> Result<HashMap<RecordId, Difference>> {
        Ok(HashMap::new())
    }

    /// Returns a read of a record as [`Mirror::apply`] would take it: without what the target must not keep. A push goes by
    /// such a read, so that it finds what it wrote, and notes nothing that is not kept.
    ///
    /// The default implementation returns the read as it is.
    async fn kept(&self, read: Read) -> Result<Read> {
        Ok(read)
    }

    /// Counts the live records of an entity type and, with a column and a range, those among them whose value of this
    /// column lies in the range.
    ///
    /// The default implementation counts nothing.
    async fn count(
        &self,
        _schema: &MirrorSchema,
        _dated: Option<(&str, DateRange)>,
    ) -> Result<Option<RecordCount>> {
        Ok(None)
    }

    /// Writes reads of one entity type, at most one read per record. Returns one result for each read, in the same
    /// order.
    ///
    /// # Errors
    /// Each read has its own result. `Invalid`: the record breaks a constraint of the target. `Locked`: another
    /// session holds a lock on a row of the record. Any other kind: the target cannot be reached. If a read has an
    /// error, nothing of it is written.
    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>>;
}
