//! The columns that a body is about.

use std::collections::BTreeSet;

use tds_core::outbound::LocalRecord;

/// The columns that a body is about: all that have a value when a record is created, and those that changed afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    record: &'a LocalRecord,
    stage: Stage<'a>,
}

/// The call that a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage<'a> {
    /// The call creates the record.
    Create,
    /// The call adds what the create did not take.
    Complete,
    /// The call changes these columns and child tables.
    Update(&'a BTreeSet<String>),
}

impl<'a> Chosen<'a> {
    pub(super) fn new(record: &'a LocalRecord, stage: Stage<'a>) -> Self {
        Self { record, stage }
    }

    /// Returns true if the body creates the record.
    #[must_use]
    pub fn creates(&self) -> bool {
        self.stage == Stage::Create
    }

    /// Returns true if the body is about the column or the child table.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        match self.stage {
            Stage::Create => self.record.value(column).is_some(),
            Stage::Complete => false,
            Stage::Update(changed) => changed.contains(column),
        }
    }

    pub(super) fn stage(&self) -> Stage<'a> {
        self.stage
    }
}
