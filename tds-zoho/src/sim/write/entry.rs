//! What the bodies of all modules have in common.

use serde_json::{Value, json};

use super::refusal::{self as refused, Refused};
use crate::sim::{
    literal::{Object, field},
    module::Module,
    records::Records,
};

/// A body on its way into a record.
pub(super) struct Entry<'a> {
    /// The id of the record, if it exists.
    pub(super) id: Option<&'a str>,
    /// The record as it is.
    pub(super) before: Option<&'a Object>,
    pub(super) body: &'a Object,
    /// The call gives the number of a new record.
    pub(super) own_number: bool,
}

/// Copies the values of a body under keys that the record has, except those that Zoho computes.
pub(super) fn copy(body: &Object, record: &mut Object, computed: &[&str]) {
    for (key, value) in body {
        if !computed.contains(&key.as_str()) && !value.is_array() && record.contains_key(key) {
            record.insert(key.clone(), value.clone());
        }
    }
}

/// Refuses a body of a new record that lacks one of these keys, and a body of a known record that empties one.
pub(super) fn require(entry: &Entry<'_>, keys: &[&str]) -> Result<(), Refused> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    for key in keys {
        let is_given = entry.body.contains_key(*key);
        if (is_given || entry.before.is_none()) && is_empty(field(entry.body, key)) {
            return Err(refused::value(key));
        }
    }
    Ok(())
}

/// Refuses a value that another record of the kind has.
pub(super) fn unique(
    records: &Records,
    module: Module,
    entry: &Entry<'_>,
    is_same: impl Fn(&Object) -> bool,
) -> Result<(), ()> {
    let is_other = |record: &&Object| {
        let id = field(record, module.id_key).as_str();
        id != entry.id && is_same(record)
    };
    if records.records(module).any(|record| is_other(&record)) { Err(()) } else { Ok(()) }
}

/// The lists whose entries have ids of their own, and the key of the id.
const PARTS: [(&str, &str); 4] = [
    ("line_items", "line_item_id"),
    ("contact_persons", "contact_person_id"),
    ("pricebook_items", "pricebook_item_id"),
    ("bills", "bill_payment_id"),
];

/// Gives ids to the new entries of a record's lists.
pub(super) fn number_parts(records: &mut Records, record: &mut Object) {
    for (list, key) in PARTS {
        for part in record.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            number(records, part, key);
            for bracket in part.get_mut("price_brackets").and_then(Value::as_array_mut).into_iter().flatten()
            {
                number(records, bracket, key);
            }
        }
    }
}

/// Gives an id to a part whose key is there and empty.
fn number(records: &mut Records, part: &mut Value, key: &str) {
    if part.get(key).is_some_and(|id| id == "") {
        part[key] = json!(records.new_id());
    }
}
