//! A record of the ERP on its way to Zoho, without what is hidden. A column that is left out is one of which nothing is
//! known: it is neither compared nor written.

use serde_json::{Map, Value};
use tds_core::outbound::LocalRecord;

use super::{EntityRules, has_hash, walk};

/// Removes hidden values, and hashes as well: Zoho gets neither.
pub(super) fn without(rules: &EntityRules, mut record: LocalRecord) -> LocalRecord {
    let plain = rules.dropping();
    let fields = std::mem::take(&mut record.fields);
    // The hash of a number that a name repeats is in the column of the name.
    let is_hash = |value: &Value| value.is_string() && has_hash(value);
    let fields = fields
        .into_iter()
        .filter(|(column, value)| !rules.columns.contains_key(column.as_str()) && !is_hash(value));
    record.fields = fields
        .map(|(column, value)| {
            let mut around = Map::from_iter([(column.clone(), value)]);
            walk::inside(&plain, &mut around);
            (column.clone(), around.remove(&column).unwrap_or(Value::Null))
        })
        .collect();
    for (table, columns) in &rules.tables {
        for row in record.children.get_mut(*table).into_iter().flatten() {
            row.retain(|column, _| !columns.contains_key(column.as_str()));
        }
    }
    record
}
