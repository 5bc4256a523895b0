//! A body, understood as one JSON object: JSON, a form with the field `JSONString`, or a form's own pairs.

use serde_json::{Map, Value};

use super::form::{Look, look, pairs, without_bom};
use crate::mend;

/// The field in which forms, and some templates, carry the record as text.
const JSON_STRING: &str = "JSONString";

/// What a body says.
#[derive(Debug, PartialEq)]
pub(super) struct Body {
    pub(super) object: Map<String, Value>,
    /// It may stand for the record: neither the pairs of a form (chosen keys, and every value is text) nor a text in
    /// which something had to be replaced to be read at all.
    pub(super) is_whole: bool,
}

/// Reads a body; `Err` tells a person why it cannot be understood.
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
    let (mut object, is_whole) = match object(text) {
        Ok(read) => read,
        Err(reason) => return Err(format!("the body is {reason}")),
    };
    match object.remove(JSON_STRING) {
        Some(Value::String(inner)) => json_string(&inner, object),
        // A body that is one JSON string deeper is no different.
        Some(Value::Object(inner)) => Ok(Body { object: merged(inner, object), is_whole }),
        Some(other) => {
            object.insert(JSON_STRING.to_owned(), other);
            Ok(Body { object, is_whole })
        }
        None => Ok(Body { object, is_whole }),
    }
}

/// The object of a text, and whether it could be read as it is.
fn object(text: &[u8]) -> Result<(Map<String, Value>, bool), String> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) if !mend::is_needed(text) => Ok((object, true)),
        Ok(Value::Object(object)) => Ok((mend::object(text).unwrap_or(object), false)),
        Ok(_) => Err("JSON, but no object with a record in it".to_owned()),
        Err(error) if !error.is_eof() && text.trim_ascii_start().starts_with(b"{") => {
            // The reason that a person is told is the first one.
            mend::object(text).map(|object| (object, false)).map_err(|_| format!("no JSON: {error}"))
        }
        Err(error) => Err(format!("no JSON: {error}")),
    }
}

fn form(body: &[u8]) -> Result<Body, String> {
    let mut object = Map::new();
    for (name, value) in pairs(body) {
        object.entry(name).or_insert(Value::String(value));
    }
    match object.remove(JSON_STRING) {
        Some(Value::String(inner)) => json_string(&inner, object),
        _ => Ok(Body { object, is_whole: false }),
    }
}

/// The record inside the field, with what stood beside it, such as the organization.
fn json_string(inner: &str, beside: Map<String, Value>) -> Result<Body, String> {
    match object(inner.as_bytes()) {
        Ok((object, is_whole)) => Ok(Body { object: merged(object, beside), is_whole }),
        Err(reason) => Err(format!("{JSON_STRING} is {reason}")),
    }
}

fn merged(mut object: Map<String, Value>, beside: Map<String, Value>) -> Map<String, Value> {
    if let Some(organization) = beside.get("organization_id") {
        object.entry("organization_id").or_insert_with(|| organization.clone());
    }
    object
}
