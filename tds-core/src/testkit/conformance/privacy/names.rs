//! What removes the names of customers from invoices.

use serde_json::Value;

use super::{INVOICES, NAME};
use crate::{
    privacy::{RedactedColumn, RedactedTable, Redaction},
    record::EntityType,
};

pub(super) struct Names;

impl Redaction for Names {
    fn rules(&self) -> String {
        NAME.to_owned()
    }

    fn tables(&self) -> Vec<RedactedTable> {
        let columns = vec![RedactedColumn { name: NAME, hashed: false }];
        vec![RedactedTable { entity: INVOICES, table: "invoices", is_head: true, columns }]
    }

    fn json(&self, entity: &EntityType, text: &str) -> Option<String> {
        let mut json: Value = serde_json::from_str(text).ok()?;
        json.as_object_mut().filter(|_| *entity == INVOICES)?.remove(NAME)?;
        Some(json.to_string())
    }

    fn differences(&self, entity: &EntityType, text: &str) -> Option<String> {
        let mut json: Value = serde_json::from_str(text).ok()?;
        let list = json.as_array_mut().filter(|_| *entity == INVOICES)?;
        let named = list.iter_mut().filter(|difference| difference["field"] == NAME);
        for difference in named.filter_map(Value::as_object_mut) {
            difference.retain(|name, _| matches!(name.as_str(), "field" | "winner"));
        }
        Some(json.to_string())
    }

    fn body(&self, _entity: &EntityType, _body: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn hash(&self, _text: &str) -> Option<String> {
        None
    }
}
