//! Where records go.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use crate::{
    error::Result,
    guard::{RereadReason, SyncState},
    queue::Outcome,
    record::{EntityType, Read, RecordId},
};

/// Which tables a record of an entity type fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorSchema {
    /// The entity type.
    pub entity: EntityType,
    /// The table with one row per record, or `None` where a record is only its children.
    pub head: Option<&'static str>,
    /// Tables with several rows per record, each replaced as a set.
    pub children: &'static [Child],
}

/// A child table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its name.
    pub table: &'static str,
    /// The column with the record's id at the source.
    pub owner: &'static str,
    /// A set that becomes empty, or loses more than half of at least 20 rows, is believed only when a second read shows it too.
    pub confirm_shrink: bool,
}

/// What applying a read did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is settled.
    Done(Outcome),
    /// Nothing was written: the record has to be read again.
    Reread(RereadReason),
}

/// The target of a sync: tables that show what the source has.
///
/// - [`crate::guard`] decides on the locked sync state, in the transaction of the write.
/// - A record, its children and its sync state change together or not at all.
/// - Columns that a read does not show keep their values; children of a table that a read does not show stay.
/// - A record that cannot be written fails alone; the others of the batch are written.
/// - A deletion is a tombstone: the head row stays, with `deleted_at`.
#[async_trait]
pub trait Mirror: Send + Sync {
    /// The accepted states of these records; unknown ones are absent from the map.
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>>;

    /// Of these reads, the records whose head rows do not show what the read shows: somebody else changed them, or they
    /// are not there. Columns that a read does not show, and children, are not compared.
    ///
    /// The default compares nothing: whoever changes such a target by hand mends it by hand.
    async fn differing(&self, _schema: &MirrorSchema, _reads: &[Read]) -> Result<HashSet<RecordId>> {
        Ok(HashSet::new())
    }

    /// Writes reads of one entity type, at most one per record. Answers in the same order.
    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>>;
}
