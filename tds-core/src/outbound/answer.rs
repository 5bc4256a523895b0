//! What the answer to a write shows that the target does not have: ids of lines, and values that the source spells or
//! rounds in its own way.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{LocalRecord, pairs::pair};
use crate::record::{Fields, Record, same_value};

/// Returns the columns and the child tables of an answer that differ from the record that was written. Child tables are
/// returned as a whole.
pub(crate) fn differing(written: &LocalRecord, answer: &Record) -> (Fields, BTreeMap<String, Vec<Fields>>) {
    let differs = |(name, value): &(&String, &Value)| {
        !same_value(value, written.fields.get(*name).unwrap_or(&Value::Null))
    };
    let fields = answer
        .fields
        .iter()
        .chain(&answer.volatile)
        .filter(differs)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let rows_differ = |(table, rows): &(&String, &Vec<Fields>)| {
        let ours = written.children.get(*table).map_or(&[][..], Vec::as_slice);
        // Nothing of the answer is known before, so new rows of ours may be any of its rows.
        let pairs = pair(&[], ours, rows, &|_| true);
        let same = |key: &String| match (pairs.target.get(key), pairs.source.get(key)) {
            (Some(ours), Some(theirs)) => {
                theirs.iter().all(|(name, value)| same_value(value, ours.get(name).unwrap_or(&Value::Null)))
            }
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        !pairs.order.iter().all(same)
    };
    let rows = answer
        .children
        .iter()
        .filter(rows_differ)
        .map(|(table, rows)| (table.clone(), rows.clone()))
        .collect();
    (fields, rows)
}
