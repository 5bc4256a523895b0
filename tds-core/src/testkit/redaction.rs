//! A redaction of chosen columns.

use serde_json::Value;

use crate::{
    privacy::{RedactedColumn, RedactedTable, Redaction},
    record::EntityType,
};

/// Removes the values of columns from records, and nothing without columns. Bodies are left alone, and nothing is hashed.
#[derive(Clone, Debug, Default)]
pub struct ColumnRedaction {
    tables: Vec<RedactedTable>,
}

impl ColumnRedaction {
    /// Adds a column of the head rows of an entity type.
    #[must_use]
    pub fn head(self, entity: EntityType, table: &'static str, column: &'static str) -> Self {
        self.with(entity, table, true, column)
    }

    /// Adds a column of the child rows of an entity type.
    #[must_use]
    pub fn child(self, entity: EntityType, table: &'static str, column: &'static str) -> Self {
        self.with(entity, table, false, column)
    }

    fn with(mut self, entity: EntityType, table: &'static str, is_head: bool, column: &'static str) -> Self {
        let columns = vec![RedactedColumn { name: column, hashed: false }];
        self.tables.push(RedactedTable { entity, table, is_head, columns });
        self
    }

    fn is_redacted(&self, entity: &EntityType, column: &str) -> bool {
        let mut heads = self.tables.iter().filter(|table| table.is_head && table.entity == *entity);
        heads.any(|table| table.columns.iter().any(|known| known.name == column))
    }
}

impl Redaction for ColumnRedaction {
    fn rules(&self) -> String {
        let name = |table: &RedactedTable| format!("{}.{}", table.table, table.columns[0].name);
        self.tables.iter().map(name).collect::<Vec<_>>().join(",")
    }

    fn tables(&self) -> Vec<RedactedTable> {
        self.tables.clone()
    }

    fn json(&self, entity: &EntityType, text: &str) -> Option<String> {
        let mut json: Value = serde_json::from_str(text).ok()?;
        let record = json.as_object_mut()?;
        let before = record.len();
        record.retain(|column, _| !self.is_redacted(entity, column));
        (record.len() < before).then(|| json.to_string())
    }

    fn differences(&self, entity: &EntityType, text: &str) -> Option<String> {
        let mut json: Value = serde_json::from_str(text).ok()?;
        let list = json.as_array_mut()?.iter_mut();
        let named =
            list.filter(|one| one["field"].as_str().is_some_and(|field| self.is_redacted(entity, field)));
        let mut is_changed = false;
        for difference in named.filter_map(Value::as_object_mut) {
            let before = difference.len();
            difference.retain(|name, _| matches!(name.as_str(), "field" | "winner"));
            is_changed |= difference.len() < before;
        }
        is_changed.then(|| json.to_string())
    }

    fn body(&self, _entity: &EntityType, _body: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn hash(&self, _text: &str) -> Option<String> {
        None
    }
}
