//! Reads a body as one JSON object: from JSON, from a form with a field that holds JSON, or from the pairs of a form.

use serde_json::{Map, Value};

use super::form::{Look, look, pairs, without_bom};
use crate::mend;

/// The field in which forms, and some templates, carry the record as text.
const JSON_STRING: &str = "JSONString";
/// The key for the records of a body that is a list of records.
const LIST: &str = "records";

/// A body that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Body {
    pub(super) object: Map<String, Value>,
    /// The object consists of the pairs of a form: chosen keys, never the whole record, and every value is text. A
    /// field that holds JSON becomes an object in it.
    pub(super) is_pairs: bool,
    /// A part of the body had to be replaced before the body could be read, so the body does not stand for its record.
    pub(super) is_mended: bool,
}

/// Reads a body. `Err` says why the body cannot be understood.
pub(super) fn read(body: &[u8]) -> Result<Body, String> {
    if body.trim_ascii().is_empty() {
        return Err("the body is empty".to_owned());
    }
    match look(None, body) {
        Look::Json => json(without_bom(body)),
        Look::Form => form(body),
        Look::Other => Err("the body is neither JSON nor a form".to_owned()),
    }
}

fn json(text: &[u8]) -> Result<Body, String> {
    let (mut object, is_mended) = object(text).map_err(|reason| format!("the body is {reason}"))?;
    match object.remove(JSON_STRING) {
        Some(Value::String(inner)) => json_string(&inner, object),
        // A body that is wrapped in one more JSON string is read in the same way.
        Some(Value::Object(inner)) => Ok(Body { object: merged(inner, object), is_pairs: false, is_mended }),
        other => {
            object.extend(other.map(|other| (JSON_STRING.to_owned(), other)));
            Ok(Body { object, is_pairs: false, is_mended })
        }
    }
}

/// Returns the object in a text, or the text's list of objects under its own name, and whether the text had to be
/// mended.
fn object(text: &[u8]) -> Result<(Map<String, Value>, bool), String> {
    match serde_json::from_slice(text) {
        Ok(value) => {
            let object = match value {
                Value::Object(object) => object,
                Value::Array(records) if records.iter().any(Value::is_object) => {
                    Map::from_iter([(LIST.to_owned(), Value::Array(records))])
                }
                _ => return Err("JSON, but not an object with a record in it".to_owned()),
            };
            let is_mended = mend::is_needed(text);
            let mended = is_mended.then(|| mended(text)).and_then(Result::ok);
            Ok((mended.unwrap_or(object), is_mended))
        }
        Err(error) if !error.is_eof() && (text.trim_ascii_start().starts_with(b"{") || is_list(text)) => {
            // The error reports the first reason.
            mended(text).map(|object| (object, true)).map_err(|_| format!("not JSON: {error}"))
        }
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

fn mended(text: &[u8]) -> serde_json::Result<Map<String, Value>> {
    if !is_list(text) {
        return mend::object(text);
    }
    let head = format!("{{\"{LIST}\":");
    mend::object(&[head.as_bytes(), text, b"}"].concat())
}

fn is_list(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"[")
}

fn form(body: &[u8]) -> Result<Body, String> {
    let mut object = Map::new();
    for (name, value) in pairs(body) {
        object.entry(name).or_insert(Value::String(value));
    }
    if let Some(Value::String(inner)) = object.remove(JSON_STRING) {
        return json_string(&inner, object);
    }
    // The field that carries the record may have any name.
    let mut is_mended = false;
    for value in object.values_mut() {
        if let Some((record, mended)) = value.as_str().and_then(json_in_field) {
            *value = record;
            is_mended |= mended;
        }
    }
    Ok(Body { object, is_pairs: true, is_mended })
}

/// Returns the JSON object, or the list of objects, that a field of a form holds, and whether it had to be mended.
fn json_in_field(text: &str) -> Option<(Value, bool)> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let (mut object, is_mended) = object(text.as_bytes()).ok()?;
    let list = is_list(text.as_bytes()).then(|| object.remove(LIST)).flatten();
    let value = list.unwrap_or(Value::Object(object));
    let has_record = value.as_array().is_none_or(|all| all.iter().any(Value::is_object));
    has_record.then_some((value, is_mended))
}

/// Returns the record in the field, together with the other keys beside it, such as the organization.
fn json_string(inner: &str, beside: Map<String, Value>) -> Result<Body, String> {
    match object(inner.as_bytes()) {
        Ok((object, is_mended)) => Ok(Body { object: merged(object, beside), is_pairs: false, is_mended }),
        Err(reason) => Err(format!("{JSON_STRING} is {reason}")),
    }
}

fn merged(mut object: Map<String, Value>, beside: Map<String, Value>) -> Map<String, Value> {
    if let Some(organization) = beside.get("organization_id") {
        object.entry("organization_id").or_insert_with(|| organization.clone());
    }
    object
}
