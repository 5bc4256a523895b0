//! What a record shows without its hidden values: the columns and child tables that Zoho has more of.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Descriptor, hidden::columns};
use crate::reading::Column;

/// The keys of the column with the custom fields, besides one key for each field.
const CUSTOM: [&str; 2] = ["custom_fields", "custom_field_hash"];
const CUSTOM_PREFIX: &str = "cf_";

impl Descriptor {
    /// Returns the columns and child tables of a record of which a part is hidden. `after`: the record without its hidden
    /// values.
    pub(crate) fn cut(
        &'static self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> BTreeSet<String> {
        let is_other = |key: &&String| before.get(*key) != after.get(*key);
        let changed: BTreeSet<&str> = before.keys().filter(is_other).map(String::as_str).collect();
        let tables = self.rows.iter().filter(|rows| changed.contains(rows.key)).map(|rows| rows.table);
        let has_key = |column: &&Column| column.keys().iter().any(|key| changed.contains(key));
        let named = columns(self, None).filter(has_key).map(Column::name);
        let is_custom = |key: &&str| CUSTOM.contains(key) || key.starts_with(CUSTOM_PREFIX);
        let custom = changed.iter().any(is_custom).then_some(CUSTOM[0]);
        tables.chain(named).chain(custom).map(str::to_owned).collect()
    }
}
