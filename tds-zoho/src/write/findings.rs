//! What keeps a record from being written: its own faults, and records that it refers to.

use std::fmt;

use tds_core::{error::Error, record::EntityType};
use thiserror::Error as ThisError;

/// Why no call can be made for a record.
#[derive(Debug, ThisError)]
pub enum WriteError {
    /// The record refers to records that do not exist in Zoho yet. It can be written when they do.
    #[error("waits for {}", named(.0))]
    WaitsFor(Vec<Awaited>),
    /// The record cannot be written as it is. The text says what is wrong and what to do.
    #[error(transparent)]
    Invalid(#[from] Error),
}

/// A record that another record waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Awaited {
    /// The entity type of the record.
    pub entity: EntityType,
    /// What names the record in the ERP: its local id, or the code of a currency.
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

/// Gathers everything that is wrong with a record, so that one look at it is enough.
#[derive(Debug, Default)]
pub struct Findings {
    problems: Vec<String>,
    awaited: Vec<Awaited>,
}

impl Findings {
    /// Notes a fault of the record. The text says what is wrong and what to do.
    pub fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// Notes a record that does not exist in Zoho yet.
    pub(super) fn awaits(&mut self, entity: &'static str, local_id: String) {
        let awaited = Awaited { entity: EntityType::from_static(entity), local_id };
        if !self.awaited.contains(&awaited) {
            self.awaited.push(awaited);
        }
    }

    /// Ends the examination. Faults of the record come first: waiting would not mend them.
    pub(super) fn end(self, noun: &str) -> Result<(), WriteError> {
        if !self.problems.is_empty() {
            let text = format!("the {noun} cannot be written to Zoho: {}", self.problems.join("; "));
            return Err(WriteError::Invalid(Error::invalid(text)));
        }
        if !self.awaited.is_empty() {
            return Err(WriteError::WaitsFor(self.awaited));
        }
        Ok(())
    }
}
