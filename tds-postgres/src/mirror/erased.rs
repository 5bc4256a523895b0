//! Erasures: a read of an erased record is ignored, and a document that names an erased person is written without what
//! says who the person is.

use std::collections::HashSet;

use sqlx::PgExecutor;
use tds_core::{
    mirror::MirrorSchema,
    privacy::{PARTIES, Persons, Screened, parties},
    record::{Content, Read},
};
use time::OffsetDateTime;

use super::catalog::{Tables, names};
use crate::{
    db::{
        quote::{self, identifier, literal},
        session::Tx,
    },
    erasure::bodies,
};

/// The events that wait for an item whose record, or whose record's person, was erased. Their bodies say who the person is.
const BLANK: &str = "
UPDATE tds_inbox_events SET raw_payload = '', blanked_at = clock_timestamp()
 WHERE raw_payload <> ''
   AND id IN (SELECT cause_id FROM tds_queue_waiters WHERE item_id = ANY($1) AND cause = 'event')
";

const IN_FORCE: &str = "
SELECT entity_type, zoho_id FROM tds_erasures WHERE undone_at IS NULL AND zoho_id = ANY($1)
";

/// The records among `$2` that are erased.
const ERASED: &str = "
SELECT x.zoho_id, x.erased_at FROM tds_erasures AS x
 WHERE x.undone_at IS NULL AND x.entity_type = $1 AND x.zoho_id = ANY($2)
";

/// The reads of a batch while erasures are in force.
pub(super) struct Reads {
    /// Each read as it is to be written; `None`: its record was erased.
    pub(super) reads: Vec<Option<Read>>,
    /// Whether each read is about an erased person.
    touched: Vec<bool>,
}

impl Reads {
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

/// Blanks the bodies of events that name an erased record, whatever record they brought to be read: a webhook about stock may
/// have the whole product. A record that the source no longer has names nobody, so its row says whom it named.
pub(super) async fn blank_named_bodies(
    tx: &mut Tx,
    schema: &MirrorSchema,
    tables: &Tables,
    reads: &[&Read],
) -> Result<(), sqlx::Error> {
    let absent = reads.iter().filter(|read| read.content == Content::Absent);
    let absent: Vec<(&str, i64)> =
        absent.filter_map(|read| Some((read.key.id.as_str(), read.cause?.item.0))).collect();
    if !absent.is_empty() {
        let ids = absent.iter().map(|(id, _)| (*id).to_owned()).collect();
        let concerned: HashSet<String> =
            concerned(tx, schema, tables, ids).await?.into_iter().map(|(id, _)| id).collect();
        let of = absent.into_iter().filter(|(id, _)| concerned.contains(*id)).map(|(_, item)| item);
        sqlx::query(BLANK).bind(of.collect::<Vec<i64>>()).execute(&mut *tx).await?;
    }
    let items: Vec<i64> = reads.iter().filter_map(|read| Some(read.cause?.item.0)).collect();
    if !items.is_empty() {
        bodies::blank_of_items(tx, &items).await?;
    }
    Ok(())
}

/// Returns those of the records that are erased, or whose rows name an erased person, and when the erasure was.
pub(crate) async fn concerned(
    tx: &mut Tx,
    schema: &MirrorSchema,
    tables: &Tables,
    ids: Vec<String>,
) -> Result<Vec<(String, OffsetDateTime)>, sqlx::Error> {
    let mut select = ERASED.to_owned();
    if let Some((table, columns)) = schema.head.and_then(|head| tables.get_key_value(head)) {
        for (party, entity) in PARTIES.iter().filter(|(party, _)| names(columns).any(|name| name == party)) {
            let (table, party, entity) = (quote::table(table), identifier(party), literal(entity));
            select.push_str(&format!(
                "UNION ALL SELECT h.zoho_id, x.erased_at FROM {table} AS h JOIN tds_erasures AS x
                   ON x.undone_at IS NULL AND x.entity_type = {entity} AND x.zoho_id = h.{party} COLLATE \"C\"
                WHERE h.zoho_id = ANY($2)"
            ));
        }
    }
    let found = sqlx::query_as(quote::statement(select)).bind(schema.entity.as_str()).bind(ids);
    found.fetch_all(tx).await
}

/// Returns the reads as they may be written; `None` if no read is about an erased person.
pub(super) async fn screen<'c>(
    database: impl PgExecutor<'c>,
    persons: &Persons,
    reads: &[&Read],
) -> Result<Option<Reads>, sqlx::Error> {
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
    let screened: Vec<Screened> = reads.iter().map(|read| persons.screen(read, is_erased)).collect();
    let touched = screened.iter().map(|screened| *screened != Screened::Whole).collect();
    let kept = screened.into_iter().zip(reads).map(|(screened, read)| match screened {
        Screened::Whole => Some((*read).clone()),
        Screened::Without(read) => Some(*read),
        Screened::Ignored => None,
    });
    Ok(Some(Reads { reads: kept.collect(), touched }))
}
