//! The position of a run that compares.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    runs::Checkpoint,
    verify::VerifyCounts,
};

/// The phases of a run, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    #[default]
    List,
    Local,
    Whole,
    Looks,
    Repair,
}

/// The position, and what was counted up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    pub(super) phase: Phase,
    /// The position within the phase: a cursor of the list, or an id.
    pub(super) cursor: Option<String>,
    /// The number of records of the phase that are done, where they are numbered.
    pub(super) done: usize,
    pub(super) source_records: u64,
    pub(super) target_records: u64,
    pub(super) compared: u64,
    pub(super) sampled: u64,
}

impl Place {
    /// Reads the position of a run. A run without a position begins.
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let text = checkpoint.cursor.as_deref().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("a position cannot be written").with_source(error))
    }

    /// Moves to the beginning of a phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        (self.phase, self.cursor, self.done) = (phase, None, 0);
    }

    pub(super) fn counts(&self) -> VerifyCounts {
        VerifyCounts {
            source_records: self.source_records,
            target_records: self.target_records,
            compared: self.compared,
            sampled: self.sampled,
        }
    }
}

/// Returns a number of records as a count.
pub(super) fn count(records: usize) -> u64 {
    u64::try_from(records).unwrap_or(u64::MAX)
}
