//! Erasures: a read of an erased record is ignored, and a document that names an erased person is written without what
//! says who the person is.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use sqlx::PgExecutor;
use tds_core::{
    privacy::Redaction,
    record::{Content, EntityType, Payload, Read, Record},
};

use crate::db::session::Tx;

/// The columns by which documents name a person, and the entity types of the persons.
pub(crate) const PARTIES: [(&str, &str); 2] =
    [("customer_zoho_id", "customers"), ("vendor_zoho_id", "vendors")];

/// The events that wait for an item whose record, or whose record's person, was erased. Their bodies say who the person is.
const BLANK: &str = "
UPDATE tds_inbox_events SET raw_payload = '', blanked_at = clock_timestamp()
 WHERE raw_payload <> ''
   AND id IN (SELECT cause_id FROM tds_queue_waiters WHERE item_id = ANY($1) AND cause = 'event')
";

const IN_FORCE: &str = "
SELECT entity_type, zoho_id FROM tds_erasures WHERE undone_at IS NULL AND zoho_id = ANY($1)
";

/// What is removed from documents of erased persons. The default removes nothing.
#[derive(Clone, Default)]
pub(crate) struct Persons {
    redaction: Option<Arc<dyn Redaction>>,
    columns: Arc<HashMap<EntityType, Vec<&'static str>>>,
}

impl Persons {
    pub(crate) fn new(redaction: Arc<dyn Redaction>) -> Self {
        let heads = redaction.tables().into_iter().filter(|table| table.is_head);
        let columns = heads.map(|table| (table.entity, table.columns.iter().map(|it| it.name).collect()));
        Self { columns: Arc::new(columns.collect()), redaction: Some(redaction) }
    }

    /// Returns a document without what says who its party is.
    fn without(&self, record: &Record) -> Record {
        let mut record = record.clone();
        for column in self.columns.get(&record.entity).into_iter().flatten() {
            if let Some(value) = record.fields.get_mut(*column) {
                *value = Value::Null;
            }
        }
        if let Some(redacted) =
            self.redaction.as_ref().and_then(|it| it.json(&record.entity, record.raw.as_str()))
        {
            record.raw = Payload::new(redacted);
        }
        record
    }
}

/// The reads of a batch while erasures are in force.
pub(super) struct Screened {
    /// Each read as it is to be written; `None`: its record was erased.
    pub(super) reads: Vec<Option<Read>>,
    /// Whether each read is about an erased person.
    touched: Vec<bool>,
}

impl Screened {
    /// Blanks the bodies of the events that brought the reads about erased persons.
    pub(super) async fn blank_bodies(&self, tx: &mut Tx, reads: &[&Read]) -> Result<(), sqlx::Error> {
        let causes = reads.iter().zip(&self.touched).filter(|(_, touched)| **touched);
        let items: Vec<i64> = causes.filter_map(|(read, _)| Some(read.cause?.item.0)).collect();
        if !items.is_empty() {
            sqlx::query(BLANK).bind(items).execute(tx).await?;
        }
        Ok(())
    }
}

/// Returns the reads as they may be written; `None` if no read is about an erased person.
pub(super) async fn screen<'c>(
    database: impl PgExecutor<'c>,
    persons: &Persons,
    reads: &[&Read],
) -> Result<Option<Screened>, sqlx::Error> {
    let mut ids: Vec<&str> = Vec::with_capacity(reads.len() * 2);
    for read in reads {
        ids.push(read.key.id.as_str());
        ids.extend(parties(read).map(|(_, id)| id));
    }
    let erased: Vec<(String, String)> = sqlx::query_as(IN_FORCE).bind(ids).fetch_all(database).await?;
    if erased.is_empty() {
        return Ok(None);
    }
    let erased: HashSet<(String, String)> = erased.into_iter().collect();
    let is_erased = |entity: &str, id: &str| erased.contains(&(entity.to_owned(), id.to_owned()));
    let mut touched = Vec::with_capacity(reads.len());
    let screened = reads.iter().map(|read| {
        let own = is_erased(read.key.entity.as_str(), read.key.id.as_str());
        let names = parties(read).any(|(entity, id)| is_erased(entity, id));
        touched.push(own || names);
        match (&read.content, names) {
            _ if own => None,
            (Content::Present(record), true) => {
                let content = Content::Present(Box::new(persons.without(record)));
                Some(Read { content, ..(*read).clone() })
            }
            _ => Some((*read).clone()),
        }
    });
    let reads = screened.collect();
    Ok(Some(Screened { reads, touched }))
}

/// Iterates over the persons that a read names, with their entity types.
fn parties(read: &Read) -> impl Iterator<Item = (&'static str, &str)> {
    let record = match &read.content {
        Content::Present(record) => Some(record),
        Content::Absent => None,
    };
    PARTIES
        .into_iter()
        .filter_map(move |(column, entity)| Some((entity, record?.fields.get(column)?.as_str()?)))
}
