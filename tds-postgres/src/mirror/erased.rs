//! Erasures: a read of an erased record is ignored, and a document that names an erased person is written without what
//! says who the person is.

use std::collections::HashSet;

use sqlx::PgExecutor;
use tds_core::{
    privacy::{Persons, Screened, parties},
    record::Read,
};

use crate::db::session::Tx;

/// The events that wait for an item whose record, or whose record's person, was erased. Their bodies say who the person is.
const BLANK: &str = "
UPDATE tds_inbox_events SET raw_payload = '', blanked_at = clock_timestamp()
 WHERE raw_payload <> ''
   AND id IN (SELECT cause_id FROM tds_queue_waiters WHERE item_id = ANY($1) AND cause = 'event')
";

const IN_FORCE: &str = "
SELECT entity_type, zoho_id FROM tds_erasures WHERE undone_at IS NULL AND zoho_id = ANY($1)
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
