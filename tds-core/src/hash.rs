//! Hashes of contents: equal contents have equal hashes, however the source spells its numbers.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{EntityType, Fields, Record};

/// SHA-256 of a record's contents, lower-case hex.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(String);

impl ContentHash {
    /// The hash of bytes as they are.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex(&Sha256::digest(bytes)))
    }

    /// Takes a stored hash.
    #[must_use]
    pub fn from_hex(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 64 hex digits.
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

/// The hash of everything in a record that moves with its version: columns and children.
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

/// The hash of a list row: its content and its volatile columns, so that an equal hash means that the row
/// shows nothing new at all.
#[must_use]
pub fn list_hash(record: &Record) -> ContentHash {
    let mut digest = Sha256::new();
    digest.update(content_hash(record).as_str());
    write_fields(&mut digest, &record.volatile);
    ContentHash(hex(&digest.finalize()))
}

/// The hash of the columns that change without a new version; `None` where a read shows none of them.
#[must_use]
pub fn volatile_hash(record: &Record) -> Option<ContentHash> {
    if record.volatile.is_empty() {
        return None;
    }
    let mut digest = Sha256::new();
    write_fields(&mut digest, &record.volatile);
    Some(ContentHash(hex(&digest.finalize())))
}

/// The id of a delivery: SHA-256 hex over entity type, line feed, event type, line feed, raw body.
///
/// `received` is given for a body without a version of its own: such a body is never a duplicate, so its
/// id also covers the time of receipt and a random part.
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

fn write_value(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Null => digest.update(b"n"),
        Value::Bool(flag) => digest.update(if *flag { b"t" } else { b"f" }),
        Value::Number(number) => {
            let text = number.to_string();
            digest.update(b"#");
            // 5 and 5.000000 are one amount; what is beyond a decimal keeps its literal text.
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
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::{Payload, RecordId};

    fn record(fields: Value) -> Record {
        let Value::Object(fields) = fields else { panic!("an object") };
        Record {
            entity: EntityType::from_static("products"),
            id: RecordId::new("1"),
            version: None,
            fields,
            volatile: Fields::new(),
            children: BTreeMap::new(),
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
    fn an_event_id_is_the_documented_hash() {
        let id = event_id(&EntityType::from_static("products"), "updated", b"{}", None);
        assert_eq!(id, ContentHash::of_bytes(b"products\nupdated\n{}").as_str());
    }
}
