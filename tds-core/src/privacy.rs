//! Values that are not kept: what a redaction removes from stored data, and the erasure of a person's record.

mod names;
mod persons;
#[cfg(feature = "memory")]
mod typed;

use std::ops::Add;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::{
    names::names,
    persons::{PARTIES, Persons, Screened, parties},
};

use crate::{
    error::Result,
    mirror::MirrorSchema,
    record::{EntityType, RecordId, RecordKey},
};

/// A table of the target in which values are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactedTable {
    /// The entity type of its records.
    pub entity: EntityType,
    /// The table.
    pub table: &'static str,
    /// It is the head table of the entity type. Composite values of its rows, such as `raw`, may have redacted values
    /// inside.
    pub is_head: bool,
    /// The redacted columns.
    pub columns: Vec<RedactedColumn>,
}

/// A redacted column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactedColumn {
    /// The name of the column.
    pub name: &'static str,
    /// A keyed hash of the value is kept. Otherwise nothing is kept.
    pub hashed: bool,
}

/// Removes values from stored data.
///
/// # Contract
/// A redaction of what was redacted already changes nothing.
pub trait Redaction: Send + Sync {
    /// Returns what is redacted, as text. An equal text stands for an equal redaction.
    fn rules(&self) -> String;

    /// Returns the tables in which values are redacted.
    fn tables(&self) -> Vec<RedactedTable>;

    /// Redacts JSON text that is a record of the entity type, or a part of one. Returns `None` if nothing changes.
    fn json(&self, entity: &EntityType, text: &str) -> Option<String>;

    /// Redacts JSON text that is a list of differences between two versions of a record, `[{"field": …}, …]`, or has such
    /// values by field, `{"rate": …}`. Returns `None` if nothing changes.
    fn differences(&self, entity: &EntityType, text: &str) -> Option<String>;

    /// Redacts a pushed body that arrived for an entity type. Returns `None` if nothing changes.
    fn body(&self, entity: &EntityType, body: &[u8]) -> Option<Vec<u8>>;

    /// Returns the keyed hash that is kept in place of a text; `None` if no hashes are kept.
    fn hash(&self, text: &str) -> Option<String>;
}

/// A record of a person that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The record.
    pub key: RecordKey,
    /// When it was erased, the first time.
    pub erased_at: OffsetDateTime,
    /// Who erased it, the first time.
    pub erased_by: String,
    /// How much was removed, by this and every later erasure that was in force together with it.
    pub counts: ErasedCounts,
}

/// Returns true if an id is so long that a text that contains it certainly means this record. A shorter one may be any
/// other number, so that texts alone do not show that an unknown record exists.
#[must_use]
pub fn is_unmistakable(id: &RecordId) -> bool {
    id.as_str().len() >= 8
}

/// How many rows lost the data of an erased person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErasedCounts {
    /// Head rows of the person, which are tombstones now.
    pub rows: u64,
    /// Documents that name the person. They keep their amounts.
    pub documents: u64,
    /// Pushed events that lost their bodies or their errors.
    pub events: u64,
    /// Items of the queue, kept work of cancelled runs and dead letters.
    pub items: u64,
    /// Local changes, links and conflicts.
    pub changes: u64,
    /// Findings of verifications.
    pub findings: u64,
    /// Files of images, which are outside the store: see [`Eraser::files`].
    pub files: u64,
}

impl Add for ErasedCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            documents: self.documents + other.documents,
            events: self.events + other.events,
            items: self.items + other.items,
            changes: self.changes + other.changes,
            findings: self.findings + other.findings,
            files: self.files + other.files,
        }
    }
}

/// A file of an erased record. It is outside the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedFile {
    /// Where the file is, as a URL.
    pub location: String,
    /// Another record names the same file, so the file stays.
    pub is_shared: bool,
}

/// Erases records of persons from a store.
///
/// # Contract
/// - An erasure is one transaction: it removes everything or nothing.
/// - A record that several entity types show under one id, such as a contact that is a customer today and a vendor tomorrow, is
///   erased under all of them, whether it is stored there or not.
/// - A later read of an erased record is ignored, and nothing of it is kept, until the erasure is undone.
/// - A later read of a document that names an erased person is written without what says who the person is.
/// - A pushed body that names an erased record is blanked: with the read of any record that it brought, or at the end of its
///   event if no read follows from it. [`QueueMaintenance::blank`](crate::queue::QueueMaintenance::blank) finds the bodies of a
///   process that ended in between.
/// - A text that contains the digits of the record's id as a part of a longer number does not name the record.
/// - The files of an erased record are known until they are forgotten, also after a crash of the caller that removes them.
/// - A push of such a record or document that was loaded before the erasure is refused as if its mode had changed.
///
/// # Errors
/// The methods fail only if the store cannot be reached or a row stays locked.
#[async_trait]
pub trait Eraser: Send + Sync {
    /// Erases a record. `schemas`: those of the entity types that show it, the one that the operator named first. Returns `None`,
    /// and changes nothing, if the store knows no such record and nothing names it. A record that was erased
    /// before is erased again: what was stored since is removed. The result then says when, by whom and how much this time,
    /// and [`Eraser::erasure`] still says when and by whom the record was erased first, and how much in all.
    async fn erase(&self, schemas: &[&MirrorSchema], id: &RecordId, by: &str) -> Result<Option<Erasure>>;

    /// Lets an erased record return with its next sync, and what says who it is return to its documents with their next
    /// reads, also if nothing changed at the source. `entities`: the entity types that show it. Returns false if it is erased
    /// under none of them.
    async fn allow_return(&self, entities: &[EntityType], id: &RecordId, by: &str) -> Result<bool>;

    /// Returns the files of an erased record that are not forgotten. The caller removes those that no other record has.
    async fn files(&self, key: &RecordKey) -> Result<Vec<ErasedFile>>;

    /// Forgets the files of an erased record, after they were removed.
    async fn forget_files(&self, key: &RecordKey) -> Result<()>;

    /// Returns the erasure of a record; `None` if it is not erased.
    async fn erasure(&self, entity: &EntityType, id: &RecordId) -> Result<Option<Erasure>>;
}
