//! Hashes of contents. Equal contents have equal hashes, whatever spelling the source uses for numbers.

use std::{collections::BTreeMap, fmt};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256, digest::Output};

use crate::record::{EntityType, Fields, Record};

/// The SHA-256 of a record's contents, as lower-case hex.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(String);

impl ContentHash {
    /// Returns the hash of bytes as they are.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex(&Sha256::digest(bytes)))
    }

    /// Creates a hash from its stored text.
    #[must_use]
    pub fn from_hex(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Returns the hash of everything in a record that changes together with its version: the stable columns and the
/// children.
#[must_use]
pub fn content_hash(record: &Record) -> ContentHash {
    let mut digest = Sha256::new();
    write_fields(&mut digest, &record.fields);
    for (table, rows) in &record.children {
        digest.update(b"\x00table\x00");
        digest.update(table.as_bytes());
        for row in rows {
            digest.update(b"\x00row\x00");
            write_fields(&mut digest, row);
        }
    }
    ContentHash(hex(&digest.finalize()))
}

/// Returns the hash of a list row: its content and its volatile columns. An equal hash means that the row shows no
/// change at all.
#[must_use]
pub fn list_hash(record: &Record) -> ContentHash {
    let mut digest = Sha256::new();
    digest.update(content_hash(record).as_str());
    write_fields(&mut digest, &record.volatile);
    ContentHash(hex(&digest.finalize()))
}

/// Hashes of volatile columns, one for each column. Different reads of a record show different columns: a list row
/// shows a document's balance, and a whole record also shows what was paid. Only the columns that the later read shows
/// are compared. A column that no earlier read showed counts as a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnHashes(BTreeMap<String, String>);

/// The number of hex digits that are kept of a column's hash: enough to distinguish two values of one column.
const COLUMN_DIGITS: usize = 16;

impl ColumnHashes {
    /// Returns the hashes of these columns.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let hash = |value| hex(value_hash(value).get(..COLUMN_DIGITS / 2).unwrap_or_default());
        Self(fields.iter().map(|(name, value)| (name.clone(), hash(value))).collect())
    }

    /// Returns true if `known` has every one of these columns, with the same values.
    #[must_use]
    pub fn are_known_to(&self, known: &Self) -> bool {
        self.0.iter().all(|(name, hash)| known.0.get(name) == Some(hash))
    }

    /// Adds the columns of a later read; they replace columns of the same name.
    pub fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Returns the text that is stored: `name=hash`, separated by blanks.
    #[must_use]
    pub fn to_text(&self) -> String {
        let columns: Vec<String> = self.0.iter().map(|(name, hash)| format!("{name}={hash}")).collect();
        columns.join(" ")
    }

    /// Reads a stored text. A text of another form is ignored: earlier versions stored one hash for all columns. The
    /// next read then shows a change.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let column = |part: &str| part.split_once('=').map(|(name, hash)| (name.to_owned(), hash.to_owned()));
        Self(text.split(' ').filter_map(column).collect())
    }
}

/// Returns true if two values of one column are equal, whatever spelling the source uses for numbers.
#[must_use]
pub fn same_value(one: &Value, other: &Value) -> bool {
    one == other || value_hash(one) == value_hash(other)
}

/// Returns the identity of a delivery: the SHA-256, as hex, over the entity type, a line feed, the event type, a line
/// feed and the raw body.
///
/// `received` is given for a body without its own version. Such a body is never a duplicate, so its identity also
/// covers the time of receipt and a random part.
#[must_use]
pub fn event_id(entity: &EntityType, event_type: &str, body: &[u8], received: Option<&str>) -> String {
    let mut digest = Sha256::new();
    digest.update(entity.as_str());
    digest.update(b"\n");
    digest.update(event_type);
    digest.update(b"\n");
    digest.update(body);
    if let Some(received) = received {
        digest.update(b"\n");
        digest.update(received);
    }
    hex(&digest.finalize())
}

fn write_fields(digest: &mut Sha256, fields: &Fields) {
    let mut names: Vec<&String> = fields.keys().collect();
    names.sort_unstable();
    for name in names {
        digest.update(b"\x01");
        digest.update(name.as_bytes());
        digest.update(b"\x02");
        write_value(digest, &fields[name]);
    }
}

fn value_hash(value: &Value) -> Output<Sha256> {
    let mut digest = Sha256::new();
    write_value(&mut digest, value);
    digest.finalize()
}

fn write_value(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Null => digest.update(b"n"),
        Value::Bool(flag) => digest.update(if *flag { b"t" } else { b"f" }),
        Value::Number(number) => {
            let text = number.to_string();
            digest.update(b"#");
            // 5 and 5.000000 are the same amount. A number outside the range of a decimal keeps its literal text.
            match text.parse::<Decimal>() {
                Ok(decimal) => digest.update(decimal.normalize().to_string()),
                Err(_) => digest.update(text),
            }
        }
        Value::String(text) => {
            digest.update(b"s");
            digest.update(text.len().to_string());
            digest.update(b":");
            digest.update(text);
        }
        Value::Array(items) => {
            digest.update(b"[");
            for item in items {
                write_value(digest, item);
                digest.update(b",");
            }
            digest.update(b"]");
        }
        Value::Object(fields) => {
            digest.update(b"{");
            write_fields(digest, fields);
            digest.update(b"}");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::{Payload, RecordId};

    fn record(fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("an object") };
        Record {
            entity: EntityType::from_static("products"),
            id: RecordId::new("1"),
            version: None,
            fields,
            volatile: Fields::new(),
            children: BTreeMap::new(),
            moves: None,
            cut: std::collections::BTreeSet::new(),
            raw: Payload::new("{}"),
        }
    }

    fn parsed(text: &str) -> ContentHash {
        content_hash(&record(serde_json::from_str(text).expect("JSON")))
    }

    #[test]
    fn the_spelling_of_a_number_does_not_matter_and_its_value_does() {
        assert_eq!(parsed(r#"{"rate":5}"#), parsed(r#"{"rate":5.000000}"#));
        assert_ne!(parsed(r#"{"rate":5}"#), parsed(r#"{"rate":5.01}"#));
    }

    #[test]
    fn values_do_not_run_into_each_other() {
        assert_ne!(content_hash(&record(json!({"a":"bc"}))), content_hash(&record(json!({"ab":"c"}))));
        assert_ne!(content_hash(&record(json!({"a":["b","c"]}))), content_hash(&record(json!({"a":["bc"]}))));
        assert_ne!(content_hash(&record(json!({"a":null}))), content_hash(&record(json!({}))));
    }

    #[test]
    fn children_are_part_of_the_content_and_their_order_too() {
        let mut one = record(json!({}));
        let mut other = record(json!({}));
        let rows = |names: [&str; 2]| names.map(|name| record(json!({"name": name})).fields).to_vec();
        one.children.insert("lines".into(), rows(["a", "b"]));
        other.children.insert("lines".into(), rows(["b", "a"]));
        assert_ne!(content_hash(&one), content_hash(&other));
    }

    #[test]
    fn columns_are_compared_one_by_one_and_only_those_that_are_shown() {
        let columns = |value: Value| ColumnHashes::of(&record(value).fields);
        let mut known = columns(json!({"status": "sent", "balance": 10, "payment_made": 0}));
        assert!(columns(json!({"status": "sent", "balance": 10})).are_known_to(&known));
        assert!(!columns(json!({"status": "paid", "balance": 10})).are_known_to(&known));
        assert!(!columns(json!({"other": 1})).are_known_to(&known));
        known.extend(columns(json!({"status": "paid"})));
        assert!(columns(json!({"status": "paid", "payment_made": 0})).are_known_to(&known));
        assert_eq!(ColumnHashes::from_text(&known.to_text()), known);
        assert_eq!(ColumnHashes::from_text(ContentHash::of_bytes(b"").as_str()), ColumnHashes::default());
    }

    #[test]
    fn an_event_id_is_the_documented_hash() {
        let id = event_id(&EntityType::from_static("products"), "updated", b"{}", None);
        assert_eq!(id, ContentHash::of_bytes(b"products\nupdated\n{}").as_str());
    }
}
