//! The columns that a record fills, and the keys that they are read from. The entity files consist of such tables.

use serde_json::{Map, Value};
use tds_core::{error::Result, record::Fields};

use super::{scalar, times};

/// One column and the keys of its value.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    name: &'static str,
    /// The column's source keys. The first key that the record has counts.
    keys: &'static [&'static str],
    read: fn(&Value, &str) -> Result<Value>,
    /// The name of the function that made the column.
    kind: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $read:path;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $kind(name: &'static str, keys: &'static [&'static str]) -> Column {
            Column { name, keys, read: $read, kind: stringify!($kind) }
        }
    )*};
}

kinds! {
    /// A column of text.
    text => scalar::as_text;
    /// A column with the id of another record.
    id => scalar::as_id;
    /// A `numeric` column.
    decimal => scalar::as_decimal;
    /// A column of whole numbers.
    integer => scalar::as_integer;
    /// A `boolean` column.
    bool => scalar::as_bool;
    /// A `date` column.
    date => times::as_date;
    /// A `timestamptz` column.
    timestamp => times::as_timestamp;
    /// A `jsonb` column.
    json => scalar::as_json;
}

/// Returns the columns that the record shows. A key that the record does not have gives no entry.
///
/// # Errors
/// A value does not fit its column.
pub fn columns(table: &[Column], record: &Map<String, Value>) -> Result<Fields> {
    let shown = table.iter().filter_map(|column| Some((column, column.find(record)?)));
    shown.map(|(column, (key, value))| Ok((column.name.to_owned(), (column.read)(value, key)?))).collect()
}

/// Returns the columns of a row that is written as a whole: a column that the record does not show is `null`. `place`
/// names the row in errors.
///
/// # Errors
/// A value does not fit its column.
pub fn row(table: &[Column], record: &Map<String, Value>, place: &str) -> Result<Fields> {
    let mut fields = Fields::new();
    for column in table {
        let value = match column.find(record) {
            Some((key, value)) => (column.read)(value, &format!("{place}.{key}"))?,
            None => Value::Null,
        };
        fields.insert(column.name.to_owned(), value);
    }
    Ok(fields)
}

impl Column {
    /// Returns the keys from which the column is read.
    pub(crate) const fn keys(&self) -> &'static [&'static str] {
        self.keys
    }

    /// Returns the name of the column in its table.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns true for a column of text.
    pub(crate) fn is_text(&self) -> bool {
        self.kind == "text"
    }

    /// Returns true for a column with the id of another record.
    pub(crate) fn is_id(&self) -> bool {
        self.kind == "id"
    }

    fn find<'a>(&self, record: &'a Map<String, Value>) -> Option<(&'static str, &'a Value)> {
        self.keys.iter().find_map(|key| record.get(*key).map(|value| (*key, value)))
    }
}
