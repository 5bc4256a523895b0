//! Conversions between values and columns.

use std::{borrow::Cow, time::Duration};

use tds_core::record::EntityType;

/// Returns the text without U+0000, which PostgreSQL cannot store.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// Like [`storable`], for every text inside a JSON value.
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

/// A query whose parameters are being bound.
pub(crate) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Returns one column of rows, as the parameter of a statement.
pub(crate) fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// Returns the seconds for PostgreSQL's `make_interval`. A century stands for every longer duration.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(3_155_760_000.0)
}

/// Reads an entity type.
pub(crate) fn entity_of(text: &str) -> Result<EntityType, sqlx::Error> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Reads a value of a closed set by its stored name.
pub(crate) fn one_of<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
    what: &str,
    text: &str,
) -> Result<T, sqlx::Error> {
    all.into_iter().find(|value| name(*value) == text).ok_or_else(|| unknown(what, text))
}

/// Returns the error of a text that is none of the stored names of a closed set.
pub(crate) fn unknown(what: &str, text: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unknown {what} {text:?}").into())
}
