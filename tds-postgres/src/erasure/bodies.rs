//! The bodies of events that name an erased record.
//!
//! An erasure searches all of them. Bodies that arrive while it is in force are searched when a record that they brought is
//! read, or when their event ends without a read. An hourly search finds what was missed, such as the bodies of a process
//! that ended in between.

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

/// Erased ids.
const ONE: &str = "(SELECT $1::text)";
const ALL: &str = "(SELECT zoho_id FROM tds_erasures WHERE undone_at IS NULL)";

/// Events.
const OF_ANY_TIME: &str = "true";
const SINCE: &str = "e.received_at > now() - make_interval(secs => $2)";
const NEW: &str = "e.received_at > now() - make_interval(secs => $1)";
const OF_EVENTS: &str = "e.id = ANY($1)";

/// The events that wait for items. Their ids are read first, so that the planner has no reason to read the whole inbox.
const WAITING: &str =
    "SELECT DISTINCT cause_id FROM tds_queue_waiters WHERE item_id = ANY($1) AND cause = 'event'";

// The rows are locked in the order of ids, as all statements do that write several rows.
const BLANK: &str = "
UPDATE tds_inbox_events SET raw_payload = '', blanked_at = clock_timestamp(), error_message = NULL
 WHERE raw_payload <> '' AND id IN (SELECT id FROM tds_inbox_events WHERE id = ANY($1) ORDER BY id FOR UPDATE)
";

type Search<'q> = QueryAs<'q, Postgres, (i64, Vec<u8>, String), PgArguments>;

/// The bodies of the events that contain the digits of an id, at least as a part of a longer id. The address of a webhook
/// can name a record as well, and such events have no body.
fn search<'q>(ids: &str, events: &str) -> Search<'q> {
    sqlx::query_as(statement(format!(
        "SELECT e.id, e.raw_payload, x.id FROM tds_inbox_events AS e
           JOIN {ids} AS x (id) ON position(convert_to(x.id, 'UTF8') IN e.raw_payload) > 0
          WHERE e.raw_payload <> '' AND {events}"
    )))
}

/// Returns the events that an erased id is named in.
async fn found(tx: &mut Tx, search: Search<'_>) -> Result<Vec<i64>, sqlx::Error> {
    // One body at a time is in memory.
    let mut bodies = search.fetch(tx);
    let mut found = Vec::new();
    while let Some((event, body, id)) = bodies.try_next().await? {
        if names(&body, &id) {
            found.push(event);
        }
    }
    Ok(found)
}

/// Returns the events whose bodies name a record, of all events or of those of the last time.
pub(super) async fn naming(tx: &mut Tx, id: &str, within: Option<Duration>) -> Result<Vec<i64>, sqlx::Error> {
    let search = match within {
        Some(within) => search(ONE, SINCE).bind(id).bind(seconds(within)),
        None => search(ONE, OF_ANY_TIME).bind(id),
    };
    found(tx, search).await
}

/// Blanks the bodies of the last hours. Returns their number.
pub(crate) async fn blank_new(database: &Database) -> Result<u64, sqlx::Error> {
    let is_any: bool = sqlx::query_scalar(IN_FORCE).fetch_one(database).await?;
    if !is_any {
        return Ok(0);
    }
    let blank = || async {
        let mut tx = database.begin_with("SET LOCAL jit = off").await?;
        let count = blank(&mut tx, search(ALL, NEW).bind(seconds(LOOKS_BACK))).await?;
        tx.commit().await?;
        Ok(count)
    };
    retry::repeat(retry::ALONE, blank).await
}

/// Blanks the bodies of events that end at once, or that wait for items that end without a read. An event is stored and an
/// item ends also if this fails: the hourly search finds the bodies.
pub(crate) async fn blank_unread(database: &Database, of: Unread, ids: Vec<i64>) {
    if ids.is_empty() {
        return;
    }
    let blank = || async {
        let is_any: bool = sqlx::query_scalar(IN_FORCE).fetch_one(database).await?;
        if !is_any {
            return Ok(());
        }
        let mut tx = database.begin_with("SET LOCAL jit = off").await?;
        match of {
            Unread::Events => blank(&mut tx, search(ALL, OF_EVENTS).bind(ids.clone())).await.map(drop)?,
            Unread::Items => blank_of_items(&mut tx, &ids).await?,
        }
        tx.commit().await
    };
    if let Err(error) = retry::repeat(retry::ALONE, blank).await {
        tracing::warn!(%error, "bodies that may name erased records were not searched; the hourly search does it");
    }
}

/// What ends without a read of a record.
#[derive(Clone, Copy)]
pub(crate) enum Unread {
    Events,
    Items,
}

/// Blanks the bodies of the events that wait for these items.
pub(crate) async fn blank_of_items(tx: &mut Tx, items: &[i64]) -> Result<(), sqlx::Error> {
    let events: Vec<i64> = sqlx::query_scalar(WAITING).bind(items).fetch_all(&mut *tx).await?;
    if events.is_empty() {
        return Ok(());
    }
    blank(tx, search(ALL, OF_EVENTS).bind(events)).await.map(drop)
}

async fn blank(tx: &mut Tx, search: Search<'_>) -> Result<u64, sqlx::Error> {
    let found = found(tx, search).await?;
    if found.is_empty() {
        return Ok(0);
    }
    Ok(sqlx::query(BLANK).bind(found).execute(tx).await?.rows_affected())
}
