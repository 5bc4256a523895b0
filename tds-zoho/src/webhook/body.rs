//! A body, understood as one JSON object: JSON, a form with the field `JSONString`, or a form's own pairs.

use serde_json::{Map, Value};

use super::form::{Look, look, pairs, without_bom};

/// The field in which forms, and some templates, carry the record as text.
const JSON_STRING: &str = "JSONString";

/// What a body says.
#[derive(Debug, PartialEq)]
pub(super) struct Body {
    pub(super) object: Map<String, Value>,
    /// The pairs of a form: chosen keys, never the whole record, and every value is text.
    pub(super) is_pairs: bool,
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
    match serde_json::from_slice(text) {
        Ok(Value::Object(mut object)) => match object.remove(JSON_STRING) {
            Some(Value::String(inner)) => json_string(&inner, object),
            // A body that is one JSON string deeper is no different.
            Some(Value::Object(inner)) => Ok(Body { object: merged(inner, object), is_pairs: false }),
            Some(other) => {
                object.insert(JSON_STRING.to_owned(), other);
                Ok(Body { object, is_pairs: false })
            }
            None => Ok(Body { object, is_pairs: false }),
        },
        Ok(_) => Err("the body is JSON, but no object with a record in it".to_owned()),
        Err(error) => Err(format!("the body is no JSON: {error}")),
    }
}

fn form(body: &[u8]) -> Result<Body, String> {
    let mut object = Map::new();
    for (name, value) in pairs(body) {
        object.entry(name).or_insert(Value::String(value));
    }
    match object.remove(JSON_STRING) {
        Some(Value::String(inner)) => json_string(&inner, object),
        _ => Ok(Body { object, is_pairs: true }),
    }
}

/// The record inside the field, with what stood beside it, such as the organization.
fn json_string(inner: &str, beside: Map<String, Value>) -> Result<Body, String> {
    match serde_json::from_str(inner) {
        Ok(Value::Object(object)) => Ok(Body { object: merged(object, beside), is_pairs: false }),
        Ok(_) => Err(format!("{JSON_STRING} is JSON, but no object")),
        Err(error) => Err(format!("{JSON_STRING} is no JSON: {error}")),
    }
}

fn merged(mut object: Map<String, Value>, beside: Map<String, Value>) -> Map<String, Value> {
    if let Some(organization) = beside.get("organization_id") {
        object.entry("organization_id").or_insert_with(|| organization.clone());
    }
    object
}
