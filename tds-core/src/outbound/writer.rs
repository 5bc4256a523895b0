//! The writer of the source: creates, changes and removes records.

use std::{collections::BTreeSet, fmt, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use thiserror::Error as ThisError;

use super::LocalRecord;
use crate::{
    error::Error,
    mirror::MirrorSchema,
    record::{EntityType, Read, RecordId},
};

/// Whether a column or a child table can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writable {
    /// It is written.
    Yes,
    /// It cannot be written. The text says why, and what to change instead.
    No(String),
}

/// A record that exists at the source after a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The id of the record at the source.
    pub id: RecordId,
    /// The whole record as the last answer shows it; `None` if no answer shows it.
    pub read: Option<Read>,
}

/// The end of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The source has no such record any more.
    Gone,
    /// The source keeps the record, because other records use it. The record is inactive or void there.
    Kept,
}

/// A record that another record waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Awaited {
    /// The entity type of the record.
    pub entity: EntityType,
    /// What names the record in the target: its local id, or the code of a currency.
    pub local_id: String,
}

impl fmt::Display for Awaited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.entity, self.local_id)
    }
}

fn named(awaited: &[Awaited]) -> String {
    awaited.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Why a record was not written.
#[derive(Clone, Debug, ThisError)]
pub enum WriteError {
    /// The record refers to records that do not exist at the source yet. No call was made.
    #[error("waits for {}", named(.0))]
    WaitsFor(Vec<Awaited>),
    /// Nothing was changed at the source: no call was made, or the source refused the call.
    #[error(transparent)]
    Refused(Error),
    /// It is not known whether the source was changed: no answer arrived, or one that is not understood.
    #[error(transparent)]
    InDoubt(Error),
    /// The record was created, and a call after the create failed.
    #[error("{error}")]
    Partly {
        /// The id of the created record.
        id: RecordId,
        /// The failure.
        error: Error,
    },
}

/// The writer of one entity type at the source.
///
/// # Contract
/// - A create is only repeated after [`RemoteWriter::find`] found nothing. If an earlier one arrives late nevertheless, at
///   least [`RemoteWriter::settles_after`] after it was sent, there is no second record with the same key.
/// - The body of a write contains only what the writer knows how to write, never what was read.
/// - Validation comes before calls: a record that the source would refuse costs no call.
///
/// # Errors
/// See [`WriteError`]. The [`crate::error::Error::retry`] of the error in it says whether to try again.
#[async_trait]
pub trait RemoteWriter: Send + Sync {
    /// Returns the entity type and the tables that its records are read from.
    fn schema(&self) -> &MirrorSchema;

    /// Returns whether records of this writer are read from the source as well. If not, such as for stock adjustments,
    /// a record is created once and never changed.
    fn is_mirrored(&self) -> bool {
        true
    }

    /// Returns a record without the values that the source must not get. The default implementation returns it as it is.
    fn visible(&self, record: LocalRecord) -> LocalRecord {
        record
    }

    /// Returns true for a column or a child table that is not written because values are hidden: its own, or others that
    /// the call would have to carry and that the source would lose. A local change of it is noted and never refused.
    /// `cut`: what the last read of the record shows without its hidden values, [`crate::record::Record::cut`]; empty if
    /// nothing was read. The default implementation returns false.
    fn hides(&self, _column: &str, _cut: &BTreeSet<String>) -> bool {
        false
    }

    /// Returns whether a column of the head row, or a child table, can be written. `exists`: the record exists at the
    /// source.
    fn writable(&self, column: &str, exists: bool) -> Writable;

    /// Returns true if a new record may show this value in a column, or these rows, although the create was to write another
    /// one: a call after the create writes it, and until then the source has its own. The default implementation returns
    /// false: the call that creates a record writes all of it.
    fn is_unfinished(&self, _column: &str, _shown: &Value) -> bool {
        false
    }

    /// Examines whether a record can be written, without a call. `changed`: the columns and child tables to change;
    /// `None`: the record would be created.
    ///
    /// # Errors
    /// [`WriteError::WaitsFor`] and [`WriteError::Refused`], as a write would return them.
    fn check(&self, record: &LocalRecord, changed: Option<&BTreeSet<String>>) -> Result<(), WriteError>;

    /// Returns the time after which a create without an answer has certainly ended at the source, so that a search shows
    /// what it made. Zero: the source itself refuses a second record with our key.
    fn settles_after(&self) -> Duration {
        Duration::ZERO
    }

    /// Creates a record that the source does not have.
    ///
    /// # Errors
    /// See [`WriteError`].
    async fn create(&self, record: &LocalRecord) -> Result<Written, WriteError>;

    /// Changes these columns and child tables of a record. A column that the record does not have at all keeps the value of
    /// the source.
    ///
    /// # Errors
    /// See [`WriteError`].
    async fn update(&self, record: &LocalRecord, changed: &BTreeSet<String>) -> Result<Written, WriteError>;

    /// Removes a record. A record that the source does not have is gone.
    ///
    /// # Errors
    /// See [`WriteError`].
    async fn remove(&self, record: &LocalRecord) -> Result<Removed, WriteError>;

    /// Looks for the record that creates in doubt may have made, and changes nothing that people see in it. `versions`: what
    /// they may have sent, at least one version; all of them have the same key. `None`: there is none.
    ///
    /// # Errors
    /// See [`WriteError`].
    async fn find(&self, versions: &[LocalRecord]) -> Result<Option<RecordId>, WriteError>;
}
