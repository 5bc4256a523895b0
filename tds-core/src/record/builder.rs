//! Records that a program builds itself, for sources that have no JSON text and for tests.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    error::Result,
    record::{EntityType, Fields, Interval, Moves, Observed, Payload, Read, Record, RecordId, Shape},
};

/// Builds a record of a source that has no JSON text, such as a file or a database.
#[derive(Clone, Debug)]
pub struct RecordBuilder(Record);

/// The JSON that [`RecordBuilder::build`] writes.
#[derive(Deserialize)]
struct Body {
    id: RecordId,
    #[serde(with = "time::serde::rfc3339::option")]
    version: Option<OffsetDateTime>,
    fields: Fields,
    volatile: Fields,
    children: BTreeMap<String, Vec<Fields>>,
    #[serde(default)]
    moves: Option<Moves>,
}

impl RecordBuilder {
    /// Creates a record without columns.
    #[must_use]
    pub fn new(entity: &EntityType, id: &str) -> Self {
        Self(Record {
            entity: entity.clone(),
            id: RecordId::new(id),
            version: None,
            fields: Fields::new(),
            volatile: Fields::new(),
            children: BTreeMap::new(),
            moves: None,
            cut: BTreeSet::new(),
            raw: Payload::new("{}"),
        })
    }

    /// Sets the time at which the source last changed the record.
    #[must_use]
    pub fn version(mut self, version: OffsetDateTime) -> Self {
        self.0.version = Some(version);
        self
    }

    /// Adds columns that change together with the version, as a JSON object. Any other JSON value adds no columns.
    #[must_use]
    pub fn fields(mut self, columns: Value) -> Self {
        self.0.fields.extend(fields(columns));
        self
    }

    /// Adds columns that change without a new version, as a JSON object.
    #[must_use]
    pub fn volatile(mut self, columns: Value) -> Self {
        self.0.volatile.extend(fields(columns));
        self
    }

    /// Sets all rows of a child table. Each row is a JSON object.
    #[must_use]
    pub fn children(mut self, table: &str, rows: impl IntoIterator<Item = Value>) -> Self {
        self.0.children.insert(table.to_owned(), rows.into_iter().map(fields).collect());
        self
    }

    /// Adds a record whose derived values follow this record.
    #[must_use]
    pub fn moves(mut self, entity: &EntityType, id: &str) -> Self {
        self.0.moves.get_or_insert_default().add(entity.clone(), RecordId::new(id));
        self
    }

    /// Adds a record whose derived values follow this record and the derived values of this record.
    #[must_use]
    pub fn moves_through(mut self, entity: &EntityType, id: &str) -> Self {
        self.0.moves.get_or_insert_default().add_through(entity.clone(), RecordId::new(id));
        self
    }

    /// Returns the record. Its raw JSON contains everything that was set, and the default implementation of
    /// [`crate::source::Source::decode`] reads this JSON.
    #[must_use]
    pub fn build(mut self) -> Record {
        let version = self.0.version.and_then(|version| version.format(&Rfc3339).ok());
        let mut raw = json!({
            "id": self.0.id,
            "version": version,
            "fields": self.0.fields,
            "volatile": self.0.volatile,
            "children": self.0.children,
        });
        if let Some(moves) = &self.0.moves {
            raw["moves"] = json!(moves);
        }
        self.0.raw = Payload::new(raw.to_string());
        self.0
    }

    /// Returns a read of the whole record by a call.
    #[must_use]
    pub fn read(self, began: OffsetDateTime, ended: OffsetDateTime) -> Read {
        self.seen(Shape::Detail, Observed::Call(Interval { began, ended }))
    }

    /// Returns a read of the record.
    #[must_use]
    pub fn seen(self, shape: Shape, observed: Observed) -> Read {
        Read::of(self.build(), shape, observed)
    }
}

/// Reads the JSON that [`RecordBuilder::build`] writes.
///
/// # Errors
/// `Invalid`: the payload is other JSON.
pub(crate) fn built(entity: &EntityType, payload: &Payload) -> Result<Record> {
    let Body { id, version, fields, volatile, children, moves } = payload.parse()?;
    Ok(Record {
        entity: entity.clone(),
        id,
        version,
        fields,
        volatile,
        children,
        moves,
        cut: BTreeSet::new(),
        raw: payload.clone(),
    })
}

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}
