//! Texts, ids, numbers and flags.

use serde_json::{Number, Value};
use tds_core::error::{Error, Result};

use super::{is_absent, unreadable};

/// Longer ids do not come from Zoho, whose ids have up to 19 digits.
const LONGEST_ID: usize = 100;

/// Reads a text. Numbers and flags are accepted with their literal spelling.
pub(crate) fn as_text(value: &Value, field: &str) -> Result<Value> {
    match value {
        _ if is_absent(value) => Ok(Value::Null),
        Value::String(text) => Ok(Value::String(text.clone())),
        Value::Number(number) => Ok(Value::String(number.to_string())),
        Value::Bool(flag) => Ok(Value::String(flag.to_string())),
        Value::Array(items) if items.is_empty() => Ok(Value::Null),
        Value::Object(fields) if fields.is_empty() => Ok(Value::Null),
        _ => Err(unreadable(field, value, "text")),
    }
}

/// Reads the id of another record; `null` if none is set.
pub(crate) fn as_id(value: &Value, field: &str) -> Result<Value> {
    if is_absent(value) {
        return Ok(Value::Null);
    }
    let plausible = |text: &String| text.len() <= LONGEST_ID && !text.chars().any(char::is_control);
    id_text(value).filter(plausible).map(Value::String).ok_or_else(|| unreadable(field, value, "id"))
}

/// Reads the id of a record itself. The id must be present and must be fit for an address.
pub(crate) fn as_record_id(value: &Value, field: &str) -> Result<String> {
    if is_absent(value) {
        return Err(Error::invalid(format!("{field} is empty")));
    }
    id_text(value).filter(|text| is_record_id(text)).ok_or_else(|| unreadable(field, value, "id"))
}

/// Returns true for a text that can be part of an address and of a list of ids without changing either.
pub(crate) fn is_record_id(text: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(harmless)
}

fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        // The literal text is used, because an id of 19 digits would not survive a float.
        Value::Number(number) => {
            let text = number.to_string();
            let whole = text.bytes().enumerate().all(|(at, byte)| byte.is_ascii_digit() || at == 0);
            whole.then_some(text)
        }
        _ => None,
    }
}

/// Reads an amount, a quantity or a rate by its literal text.
pub(crate) fn as_decimal(value: &Value, field: &str) -> Result<Value> {
    match value {
        _ if is_absent(value) => Ok(Value::Null),
        Value::Number(_) => Ok(value.clone()),
        Value::String(text) => {
            number(text.trim()).map(Value::Number).ok_or_else(|| unreadable(field, value, "number"))
        }
        _ => Err(unreadable(field, value, "number")),
    }
}

/// Returns a numeric text as a JSON number with the same digits. Thousands separators are ambiguous and are refused.
fn number(text: &str) -> Option<Number> {
    if let Ok(number) = serde_json::from_str(text) {
        return Some(number);
    }
    // People write these forms, which JSON does not allow: `+5`, `007`, `.5`, `5.`.
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let only_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !only_digits || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    serde_json::from_str(&format!("{sign}{whole}{point}{fraction}")).ok()
}

/// Reads a whole number; `15.00` is a whole number too.
pub(crate) fn as_integer(value: &Value, field: &str) -> Result<Value> {
    let read = as_decimal(value, field)?;
    let Value::Number(number) = &read else { return Ok(read) };
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
    let whole = whole.parse::<i64>().ok().filter(|_| fraction.bytes().all(|byte| byte == b'0'));
    whole.map(Value::from).ok_or_else(|| unreadable(field, value, "whole number"))
}

/// Reads a flag, also from text.
pub(crate) fn as_bool(value: &Value, field: &str) -> Result<Value> {
    match value {
        _ if is_absent(value) => Ok(Value::Null),
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        _ => Err(unreadable(field, value, "flag (true or false)")),
    }
}

/// Reads JSON as it arrived; `""` is absent.
#[expect(clippy::unnecessary_wraps, reason = "one signature for all readers of a column")]
pub(crate) fn as_json(value: &Value, _field: &str) -> Result<Value> {
    Ok(if is_absent(value) { Value::Null } else { value.clone() })
}
