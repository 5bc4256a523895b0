//! Bodies that arrive while an erasure is in force, and that no read of a record screens: no work follows from the event, or
//! the source no longer has the record. Those that name an erased record are blanked.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{Postgres, postgres::PgArguments, query::QueryAs};
use tds_core::privacy::names;

use crate::{
    Database, Tx,
    db::{quote::statement, retry, text::seconds},
};

/// How far the hourly search looks back: a round or two may fail. What arrived before an erasure, the erasure found.
const LOOKS_BACK: Duration = Duration::from_secs(4 * 3600);

const IN_FORCE: &str = "SELECT EXISTS (SELECT FROM tds_erasures WHERE undone_at IS NULL)";

/// Bodies that contain the digits of an erased id, at least as a part of a longer id.
const SEARCH: &str = "
SELECT e.id, e.raw_payload, x.zoho_id FROM tds_inbox_events AS e
  JOIN tds_erasures AS x ON position(convert_to(x.zoho_id, 'UTF8') IN e.raw_payload) > 0
 WHERE x.undone_at IS NULL AND e.raw_payload <> '' AND
";
const NEW: &str = "e.received_at > now() - make_interval(secs => $1)";
const OF_ITEMS: &str =
    "e.id IN (SELECT cause_id FROM tds_queue_waiters WHERE item_id = ANY($1) AND cause = 'event')";

// The rows are locked in the order of ids, as all statements do that write several rows.
const BLANK: &str = "
UPDATE tds_inbox_events SET raw_payload = '', blanked_at = clock_timestamp(), error_message = NULL
 WHERE raw_payload <> '' AND id IN (SELECT id FROM tds_inbox_events WHERE id = ANY($1) ORDER BY id FOR UPDATE)
";

type Search<'q> = QueryAs<'q, Postgres, (i64, Vec<u8>, String), PgArguments>;

/// Blanks the bodies of the last hours. Returns their number.
pub(crate) async fn blank_new(database: &Database) -> Result<u64, sqlx::Error> {
    let is_any: bool = sqlx::query_scalar(IN_FORCE).fetch_one(database).await?;
    if !is_any {
        return Ok(0);
    }
    let blank = || async {
        let mut tx = database.begin_with("SET LOCAL jit = off").await?;
        let search = sqlx::query_as(statement(format!("{SEARCH} {NEW}"))).bind(seconds(LOOKS_BACK));
        let count = blank(&mut tx, search).await?;
        tx.commit().await?;
        Ok(count)
    };
    retry::repeat(retry::ALONE, blank).await
}

/// Blanks the bodies of the events that wait for these items.
pub(crate) async fn blank_of_items(tx: &mut Tx, items: Vec<i64>) -> Result<(), sqlx::Error> {
    let search = sqlx::query_as(statement(format!("{SEARCH} {OF_ITEMS}"))).bind(items);
    blank(tx, search).await.map(drop)
}

async fn blank(tx: &mut Tx, search: Search<'_>) -> Result<u64, sqlx::Error> {
    let mut found = Vec::new();
    // One body at a time is in memory.
    let mut bodies = search.fetch(&mut *tx);
    while let Some((event, body, id)) = bodies.try_next().await? {
        if names(&body, &id) {
            found.push(event);
        }
    }
    drop(bodies);
    if found.is_empty() {
        return Ok(0);
    }
    Ok(sqlx::query(BLANK).bind(found).execute(tx).await?.rows_affected())
}
