//! Lenient readers: the meaning of a value in Zoho's JSON, in every spelling that was seen.
//!
//! An absent value is not zero: `""` and `null` are read as `null`, and a missing key gives no column at all. A value
//! that cannot be read is an error of its record, and never becomes a default.

mod columns;
mod custom_fields;
mod scalar;
mod times;

use serde_json::{Map, Value};
use tds_core::error::{Error, Result};
use time::OffsetDateTime;

pub use self::columns::{Column, bool, columns, date, decimal, id, integer, json, row, text, timestamp};
pub(crate) use self::{
    custom_fields::custom_fields,
    scalar::{as_id, as_record_id, is_record_id},
};

/// The keys under which Zoho states the time of a record's last change, in order of preference.
pub(crate) const VERSION_KEYS: [&str; 2] = ["last_modified_time", "updated_time"];

/// Returns the time of the last change that the record itself states, in UTC.
pub(crate) fn version(record: &Map<String, Value>) -> Result<Option<OffsetDateTime>> {
    for key in VERSION_KEYS {
        if let Some(time) = record.get(key).map(|value| times::as_time(value, key)).transpose()?.flatten() {
            return Ok(Some(time));
        }
    }
    Ok(None)
}

/// Returns a time that TDS needs only roughly, or `None` if it cannot be read.
pub(crate) fn time(value: &Value) -> Option<OffsetDateTime> {
    times::as_time(value, "").ok().flatten()
}

/// Returns the record's own id under `key`.
pub(crate) fn record_id(record: &Map<String, Value>, key: &str) -> Result<String> {
    let value = record.get(key).ok_or_else(|| Error::invalid(format!("{key} is missing")))?;
    as_record_id(value, key)
}

/// Returns the error of a value that cannot be read. The error names the field and shows the value, shortened.
fn unreadable(field: &str, value: &Value, expected: &str) -> Error {
    let mut shown: String = value.to_string().chars().take(80).collect();
    if shown.len() < value.to_string().len() {
        shown.push('…');
    }
    Error::invalid(format!("{field}: {shown} is no {expected}"))
}

/// Returns true for the spellings of an absent value: `null` and a blank text.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}
