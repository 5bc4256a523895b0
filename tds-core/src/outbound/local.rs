//! The record of the target that is written to the source.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::record::{Fields, RecordId};

/// A record of the target: the columns of its rows as they are now.
///
/// References are resolved: a column with the id of another record at the source has a value wherever that id is
/// known. Numbers keep their literal text.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalRecord {
    /// Our key: the text of a UUID that never changes and that no other record has.
    pub key: String,
    /// The record's id at the source, if the record is known to exist there.
    pub remote_id: Option<RecordId>,
    /// The record's status at the source as it was last read.
    pub remote_status: Option<String>,
    /// The columns of the head row.
    pub fields: Fields,
    /// The rows of the child tables, by table.
    pub children: BTreeMap<String, Vec<Fields>>,
}

impl LocalRecord {
    /// Creates a record that does not exist at the source and has no rows in child tables.
    #[must_use]
    pub fn new(key: impl Into<String>, fields: Fields) -> Self {
        Self { key: key.into(), remote_id: None, remote_status: None, fields, children: BTreeMap::new() }
    }

    /// Adds the rows of a child table.
    #[must_use]
    pub fn with_rows(mut self, table: &str, rows: Vec<Fields>) -> Self {
        self.children.insert(table.to_owned(), rows);
        self
    }

    /// Sets the id and the status that the record has at the source.
    #[must_use]
    pub fn at_source(mut self, id: impl Into<RecordId>, status: Option<&str>) -> Self {
        self.remote_id = Some(id.into());
        self.remote_status = status.map(str::to_owned);
        self
    }

    /// Returns the value of a column, unless it is absent or null.
    #[must_use]
    pub fn value(&self, column: &str) -> Option<&Value> {
        self.fields.get(column).filter(|value| !value.is_null())
    }
}
