//! What keeps a record from being written: its own faults, and records that it refers to.

use tds_core::{
    error::Error,
    outbound::{Awaited, WriteError},
    record::EntityType,
};

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
            return Err(WriteError::Refused(Error::invalid(text)));
        }
        if !self.awaited.is_empty() {
            return Err(WriteError::WaitsFor(self.awaited));
        }
        Ok(())
    }
}
