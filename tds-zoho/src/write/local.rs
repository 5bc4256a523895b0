//! The record of the ERP that is written.

use std::collections::BTreeMap;

use tds_core::record::Fields;

/// A record of the ERP: the columns of its rows as they are now.
///
/// References are resolved: a column such as `customer_zoho_id` has Zoho's id wherever it is known. `currency_code` is
/// accompanied by `currency_zoho_id`, the id of the currency with that code. Numbers keep their literal text.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalRecord {
    /// Our key: the text of a UUID that never changes and that no other record has.
    pub key: String,
    /// The record's id in Zoho, if the record exists there.
    pub remote_id: Option<String>,
    /// The record's status in Zoho as it was last read.
    pub remote_status: Option<String>,
    /// The columns of the head table.
    pub fields: Fields,
    /// The rows of the child tables, by table.
    pub children: BTreeMap<String, Vec<Fields>>,
}

impl LocalRecord {
    /// Creates a record that does not exist in Zoho and has no rows in child tables.
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

    /// Sets the id and the status that the record has in Zoho.
    #[must_use]
    pub fn at_zoho(mut self, id: impl Into<String>, status: Option<&str>) -> Self {
        self.remote_id = Some(id.into());
        self.remote_status = status.map(str::to_owned);
        self
    }

    /// Returns the value of a column, unless it is absent or null.
    pub(super) fn value(&self, column: &str) -> Option<&serde_json::Value> {
        present(&self.fields, column)
    }
}

/// Returns the value of a column of a row, unless it is absent or null.
pub(super) fn present<'a>(row: &'a Fields, column: &str) -> Option<&'a serde_json::Value> {
    row.get(column).filter(|value| !value.is_null())
}
