//! The redaction of stored data by the hidden columns of a catalogue.

use serde_json::Value;
use tds_core::{
    privacy::{RedactedTable, Redaction},
    record::EntityType,
};

use crate::{entities::Catalogue, webhook::kept_body};

/// The hidden columns of a catalogue, for data that was stored before they were hidden, and for erasures.
#[derive(Clone, Debug)]
pub struct HiddenValues(pub Catalogue);

impl HiddenValues {
    fn changed(text: &str, change: impl FnOnce(&mut Value) -> bool) -> Option<String> {
        let mut json: Value = serde_json::from_str(text).ok()?;
        change(&mut json).then(|| json.to_string())
    }
}

impl Redaction for HiddenValues {
    fn rules(&self) -> String {
        self.0.hidden_values().names().join(",")
    }

    fn tables(&self) -> Vec<RedactedTable> {
        self.0.hidden_values().tables(self.0.iter())
    }

    fn json(&self, entity: &EntityType, text: &str) -> Option<String> {
        Self::changed(text, |json| self.0.hidden_values().part(entity, json))
    }

    fn differences(&self, entity: &EntityType, text: &str) -> Option<String> {
        Self::changed(text, |json| self.0.hidden_values().differences(entity, json))
    }

    fn body(&self, entity: &EntityType, body: &[u8]) -> Option<Vec<u8>> {
        kept_body(&self.0, entity, body, false)
    }

    fn hash(&self, text: &str) -> Option<String> {
        self.0.hidden_values().hash(text)
    }
}
