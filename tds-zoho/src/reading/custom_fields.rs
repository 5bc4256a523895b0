//! Custom fields, in the three forms that Zoho uses.

use serde_json::{Map, Value};
use tds_core::error::Result;

use super::{is_absent, scalar::as_id, unreadable};

/// Returns a map from API name to value; `None` if the record shows no custom fields at all.
///
/// The array `custom_fields` has the most information, then `custom_field_hash`. A name that is in both has the value
/// of the array. The flattened `cf_…` keys count only if neither of the two is present: otherwise the keys may
/// belong to another record, such as the customer in the body of an invoice.
pub(crate) fn custom_fields(record: &Map<String, Value>) -> Result<Option<Value>> {
    let mut found = Map::new();
    let (list, hash) = (record.get("custom_fields"), record.get("custom_field_hash"));
    match list {
        Some(Value::Array(entries)) => {
            for entry in entries {
                let (name, value) = entry_of(entry)?;
                found.insert(name, value);
            }
        }
        Some(Value::Object(fields)) => add_flat(&mut found, fields, ""),
        Some(other) if !is_absent(other) => {
            return Err(unreadable("custom_fields", other, "list of custom fields"));
        }
        _ => {}
    }
    match hash {
        Some(Value::Object(fields)) => add_flat(&mut found, fields, ""),
        Some(other) if list.is_none() && !is_absent(other) => {
            return Err(unreadable("custom_field_hash", other, "object of custom fields"));
        }
        _ => {}
    }
    let shown = list.is_some() || hash.is_some();
    if !shown {
        add_flat(&mut found, record, "cf_");
    }
    Ok((shown || !found.is_empty()).then_some(Value::Object(found)))
}

fn entry_of(entry: &Value) -> Result<(String, Value)> {
    let error = || unreadable("custom_fields", entry, "custom field");
    let fields = entry.as_object().ok_or_else(error)?;
    // Only the oldest form lacks the API name; it has a label or an id.
    for key in ["api_name", "label", "customfield_id", "custom_field_id", "field_id"] {
        if let Some(Value::String(name)) = fields.get(key).map(|name| as_id(name, key)).transpose()? {
            return Ok((name, value_of(fields.get("value").unwrap_or(&Value::Null))));
        }
    }
    Err(error())
}

fn add_flat(found: &mut Map<String, Value>, fields: &Map<String, Value>, prefix: &str) {
    for (name, value) in fields {
        // `cf_x_unformatted` and `cf_x_formatted` are other spellings of `cf_x`.
        let plain = name.strip_suffix("_unformatted").or_else(|| name.strip_suffix("_formatted"));
        let doubled = plain.is_some_and(|plain| fields.contains_key(plain));
        if name.starts_with(prefix) && !doubled && !found.contains_key(name) {
            found.insert(name.clone(), value_of(value));
        }
    }
}

fn value_of(value: &Value) -> Value {
    if is_absent(value) { Value::Null } else { value.clone() }
}
