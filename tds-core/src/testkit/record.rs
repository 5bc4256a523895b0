//! Records for tests.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::record::{
    Content, EntityType, Fields, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
};

/// The columns of a JSON object; anything else has none.
#[must_use]
pub fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

/// Puts a record together.
#[derive(Clone, Debug)]
pub struct RecordBuilder(Record);

impl RecordBuilder {
    /// A record without columns.
    #[must_use]
    pub fn new(entity: &EntityType, id: &str) -> Self {
        Self(Record {
            entity: entity.clone(),
            id: RecordId::new(id),
            version: None,
            fields: Fields::new(),
            volatile: Fields::new(),
            children: BTreeMap::new(),
            raw: Payload::new("{}"),
        })
    }

    /// When the source changed it last.
    #[must_use]
    pub fn version(mut self, version: OffsetDateTime) -> Self {
        self.0.version = Some(version);
        self
    }

    /// Columns that move with the version.
    #[must_use]
    pub fn fields(mut self, columns: Value) -> Self {
        self.0.fields.extend(fields(columns));
        self
    }

    /// Columns that change without a new version.
    #[must_use]
    pub fn volatile(mut self, columns: Value) -> Self {
        self.0.volatile.extend(fields(columns));
        self
    }

    /// All rows of a child table.
    #[must_use]
    pub fn children(mut self, table: &str, rows: impl IntoIterator<Item = Value>) -> Self {
        self.0.children.insert(table.to_owned(), rows.into_iter().map(fields).collect());
        self
    }

    /// The record; its raw JSON shows all that was given.
    #[must_use]
    pub fn build(mut self) -> Record {
        let version = self.0.version.and_then(|version| version.format(&Rfc3339).ok());
        let raw = json!({
            "id": self.0.id.as_str(),
            "version": version,
            "fields": self.0.fields,
            "volatile": self.0.volatile,
            "children": self.0.children,
        });
        self.0.raw = Payload::new(raw.to_string());
        self.0
    }

    /// A look at the whole record by a call.
    #[must_use]
    pub fn read(self, began: OffsetDateTime, ended: OffsetDateTime) -> Read {
        self.seen(Shape::Detail, Observed::Call(Interval { began, ended }))
    }

    /// A look at the record.
    #[must_use]
    pub fn seen(self, shape: Shape, observed: Observed) -> Read {
        let record = self.build();
        Read {
            key: RecordKey::new(record.entity.clone(), record.id.clone()),
            shape,
            observed,
            content: Content::Present(Box::new(record)),
            listed: None,
        }
    }
}
