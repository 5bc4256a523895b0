//! The position of a run: where another process continues.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    runs::Checkpoint,
    verify::VerifyCounts,
};

/// What the run does at its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Compares the rows of the list. The cursor is that of the next page.
    List(Option<String>),
    /// Compares the records of the target with what the source sent of them, after this record.
    Local(Option<String>),
    /// Reads whole records and compares them. The number of them that were compared.
    Whole(usize),
    /// Looks at the suspects again.
    Look,
    /// Enqueues repairs.
    Repair,
}

/// The position of a run, kept as the cursor of its [`Checkpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) phase: Phase,
    /// The number of records that the list showed.
    listed: u64,
    /// The number of live records that the target has.
    target: u64,
    /// The number of records of which a row or the whole record was compared.
    pub(super) compared: u64,
    /// The number of whole records that were read.
    pub(super) sampled: u64,
    /// About how many records looked different: a record that looked different twice counts twice.
    pub(super) suspects: usize,
    /// The number of pages of the list.
    pub(super) list_pages: usize,
}

impl Position {
    const START: Self = Self {
        phase: Phase::List(None),
        listed: 0,
        target: 0,
        compared: 0,
        sampled: 0,
        suspects: 0,
        list_pages: 0,
    };

    /// Reads the position of a checkpoint.
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self> {
        let Some(text) = &checkpoint.cursor else { return Ok(Self::START) };
        serde_json::from_str(text)
            .map_err(|error| Error::internal("the checkpoint of the run cannot be read").with_source(error))
    }

    /// Returns the text that a checkpoint keeps.
    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("the position of the run cannot be written").with_source(error))
    }

    /// Returns the counts for the report.
    pub(super) fn counts(&self) -> VerifyCounts {
        VerifyCounts {
            source_records: self.listed,
            target_records: self.target,
            compared: self.compared,
            sampled: self.sampled,
        }
    }

    pub(super) fn set_listed(&mut self, listed: i64) {
        self.listed = u64::try_from(listed).unwrap_or(0);
    }

    /// Returns the number of records that the list showed.
    pub(super) fn listed(&self) -> usize {
        usize::try_from(self.listed).unwrap_or(usize::MAX)
    }

    /// Returns the number of live records that the target had when they were compared.
    pub(super) fn target(&self) -> i64 {
        i64::try_from(self.target).unwrap_or(i64::MAX)
    }

    pub(super) fn add_target(&mut self, records: usize) {
        self.target += u64::try_from(records).unwrap_or(0);
    }
}
