//! Where answers have the record.

use serde_json::{Map, Value};
use tds_core::error::Result;

use crate::{reading, source::page::protocol};

/// Where answers have the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The keys under which the record may be found. Some answers have the record at the top level instead.
    pub keys: &'static [&'static str],
    /// The key of the record's id.
    pub id_key: &'static str,
}

impl Answer {
    /// Returns the record of an answer.
    ///
    /// # Errors
    /// `Protocol`: the answer has no record.
    pub fn record<'a>(&self, answer: &'a Map<String, Value>) -> Result<&'a Map<String, Value>> {
        let inside = self.keys.iter().find_map(|key| answer.get(*key)?.as_object());
        let top = || answer.contains_key(self.id_key).then_some(answer);
        inside.or_else(top).ok_or_else(|| protocol(format!("the answer has none of {:?}", self.keys)))
    }

    /// Returns the id of the record of an answer.
    ///
    /// # Errors
    /// `Protocol`: the answer has no record. `Invalid`: the record has no id.
    pub fn id(&self, answer: &Map<String, Value>) -> Result<String> {
        reading::record_id(self.record(answer)?, self.id_key)
    }
}
