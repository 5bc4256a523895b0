//! Values on their way into columns and out of them.

use std::{borrow::Cow, time::Duration};

use tds_core::record::EntityType;

/// A text without U+0000, which PostgreSQL cannot store.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// The same for every text inside a JSON value.
pub(crate) fn storable_json(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(storable(text).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(storable_json).collect()),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (storable(name).into_owned(), storable_json(value))).collect(),
        ),
        other => other.clone(),
    }
}

/// Seconds for PostgreSQL's `make_interval`; a century stands for everything longer.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(3_155_760_000.0)
}

/// Reads an entity type.
pub(crate) fn entity_of(text: &str) -> Result<EntityType, sqlx::Error> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Reads a value of a closed set by the name under which it is stored.
pub(crate) fn one_of<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
    what: &str,
    text: &str,
) -> Result<T, sqlx::Error> {
    all.into_iter().find(|value| name(*value) == text).ok_or_else(|| unknown(what, text))
}

/// The error of a text that is none of the names under which a closed set is stored.
pub(crate) fn unknown(what: &str, text: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unknown {what} {text:?}").into())
}
