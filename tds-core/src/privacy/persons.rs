//! What of a read may be kept while erasures are in force.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::Redaction;
use crate::record::{Content, EntityType, Fields, Payload, Read, Record};

/// The columns by which documents name a person, and the entity types of the persons.
pub const PARTIES: [(&str, &str); 2] = [("customer_zoho_id", "customers"), ("vendor_zoho_id", "vendors")];

/// What is removed from documents of erased persons. The default removes nothing.
#[derive(Clone, Default)]
pub struct Persons {
    redaction: Option<Arc<dyn Redaction>>,
    columns: Arc<HashMap<EntityType, Vec<&'static str>>>,
}

/// A read while erasures are in force.
#[derive(Clone, Debug, PartialEq)]
pub enum Screened {
    /// The read is about no erased person.
    Whole,
    /// A document names an erased person: the read without what says who the person is.
    Without(Box<Read>),
    /// The record was erased, and nothing of the read is kept.
    Ignored,
}

impl Persons {
    /// Creates the rules. `redaction` removes from documents what says who a person is.
    #[must_use]
    pub fn new(redaction: Arc<dyn Redaction>) -> Self {
        let heads = redaction.tables().into_iter().filter(|table| table.is_head);
        let columns = heads.map(|table| (table.entity, table.columns.iter().map(|it| it.name).collect()));
        Self { columns: Arc::new(columns.collect()), redaction: Some(redaction) }
    }

    /// Returns what removes the values; `None` if nothing does.
    #[must_use]
    pub fn redaction(&self) -> Option<&dyn Redaction> {
        self.redaction.as_deref()
    }

    /// Returns the columns of a head table that say who a person is.
    #[must_use]
    pub fn columns(&self, entity: &EntityType) -> &[&'static str] {
        self.columns.get(entity).map_or(&[], Vec::as_slice)
    }

    /// Returns what may be kept of a read. `is_erased` says whether the record of an entity type and an id is erased.
    #[must_use]
    pub fn screen(&self, read: &Read, is_erased: impl Fn(&str, &str) -> bool) -> Screened {
        if is_erased(read.key.entity.as_str(), read.key.id.as_str()) {
            return Screened::Ignored;
        }
        let names = parties(read).any(|(entity, id)| is_erased(entity, id));
        match &read.content {
            Content::Present(record) if names => {
                let content = Content::Present(Box::new(self.without(record)));
                Screened::Without(Box::new(Read { content, ..read.clone() }))
            }
            _ => Screened::Whole,
        }
    }

    /// Empties the columns of a document that say who its party is.
    pub(crate) fn blank(&self, entity: &EntityType, fields: &mut Fields, raw: &mut Payload) {
        for column in self.columns(entity) {
            if let Some(value) = fields.get_mut(*column) {
                *value = Value::Null;
            }
        }
        if let Some(redacted) = self.redaction().and_then(|it| it.json(entity, raw.as_str())) {
            *raw = Payload::new(redacted);
        }
    }

    /// Returns a document without what says who its party is.
    fn without(&self, record: &Record) -> Record {
        let mut record = record.clone();
        self.blank(&record.entity, &mut record.fields, &mut record.raw);
        record
    }
}

/// Iterates over the persons that a read names: their entity types and ids.
pub fn parties(read: &Read) -> impl Iterator<Item = (&'static str, &str)> {
    let record = match &read.content {
        Content::Present(record) => Some(record),
        Content::Absent => None,
    };
    PARTIES
        .into_iter()
        .filter_map(move |(column, entity)| Some((entity, record?.fields.get(column)?.as_str()?)))
}
