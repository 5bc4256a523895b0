//! Finds waiters, events and runs that have lost the items they wait for.
//!
//! An item and its waiters are added and removed in one transaction, so every snapshot shows both or neither. A
//! waiter that a snapshot shows without its item has really lost the item, and does not find it again.

use std::time::Duration;

use sqlx::Row as _;

use tds_core::{
    inbox::InboxId,
    queue::{Healed, Outcome, Waiter},
};

use super::{
    events::{Completions, end_runs},
    fold::ItemWaiter,
};
use crate::{
    Database,
    db::{retry, text::seconds},
};

/// The number of rows of one transaction, and of events of one search.
const BATCH: i64 = 500;

// An archived item ended together with all work that was folded into it. For an item that is not archived, the end is
// unknown.
const LEFT_BEHIND: &str = "
WITH orphans AS MATERIALIZED (
  SELECT w.item_id, w.cause, w.cause_id, EXISTS (
           SELECT FROM tds_queue_done d WHERE d.id = w.item_id AND d.outcome <> 'discarded') AS has_ended
    FROM tds_queue_waiters w WHERE NOT EXISTS (SELECT FROM tds_queue_live q WHERE q.id = w.item_id)
   ORDER BY w.item_id, w.cause, w.cause_id LIMIT $1 FOR UPDATE OF w SKIP LOCKED)
DELETE FROM tds_queue_waiters w USING orphans o
 WHERE w.item_id = o.item_id AND w.cause = o.cause AND w.cause_id = o.cause_id
RETURNING w.item_id, w.cause, w.cause_id, w.counted, o.has_ended
";

const WAIT_LESS: &str = "UPDATE tds_inbox_events SET open_items = open_items - 1 WHERE id = $1";

const LOST_EVENTS: &str = "
SELECT e.id FROM tds_inbox_events e
 WHERE e.status IN ('pending', 'processing') AND e.received_at <= now() - make_interval(secs => $1)
   AND ($2::double precision IS NULL OR e.received_at >= now() - make_interval(secs => $2))
   AND NOT EXISTS (SELECT FROM tds_queue_waiters w WHERE w.cause = 'event' AND w.cause_id = e.id)
 ORDER BY e.id LIMIT $3
";

const LOST_RUNS: &str = "
SELECT r.id FROM tds_sync_runs r
 WHERE r.status = 'running' AND r.listing_done
   AND COALESCE(r.started_at, r.created_at) <= now() - make_interval(secs => $1)
   AND (r.open_items <= 0
     OR r.open_items <> (SELECT count(*) FROM tds_queue_waiters w WHERE w.cause = 'run' AND w.cause_id = r.id))
";

const LOCK_RUN: &str =
    "SELECT FROM tds_sync_runs WHERE id = $1 AND status = 'running' AND listing_done FOR UPDATE";

// While the run is locked, a transaction that has ended one of its items but not yet committed has not counted the
// item.
const RECOUNT: &str = "
UPDATE tds_sync_runs r SET open_items = w.open,
  processed_items = GREATEST(r.processed_items, r.total_items - w.counted)
 FROM (SELECT count(*) AS open, count(*) FILTER (WHERE counted) AS counted
         FROM tds_queue_waiters WHERE cause = 'run' AND cause_id = $1) AS w
WHERE r.id = $1
";

/// Ends the waiting of waiters, events and runs that have lost their items. Of the events, only those received within
/// `within` are considered, if `within` is given.
pub(crate) async fn heal(
    database: &Database,
    age: Duration,
    within: Option<Duration>,
) -> Result<Healed, sqlx::Error> {
    let (waiters, runs) = (waiters(database).await?, runs(database, age).await?);
    let lost = sqlx::query_scalar(LOST_EVENTS).bind(seconds(age)).bind(within.map(seconds)).bind(BATCH);
    let lost: Vec<i64> = lost.fetch_all(database).await?;
    Ok(Healed { waiters, runs, events: lost.into_iter().map(InboxId).collect() })
}

async fn waiters(database: &Database) -> Result<u64, sqlx::Error> {
    let mut ended = 0;
    loop {
        let found = retry::repeat(retry::ALONE, || waiters_once(database)).await?;
        ended += found;
        if found < BATCH.unsigned_abs() {
            return Ok(ended);
        }
    }
}

async fn waiters_once(database: &Database) -> Result<u64, sqlx::Error> {
    let mut tx = database.begin().await?;
    let rows = sqlx::query(LEFT_BEHIND).bind(BATCH).fetch_all(&mut tx).await?;
    let (mut endings, mut unknown) = (Completions::default(), Vec::new());
    for row in &rows {
        let lost = ItemWaiter::of(row)?;
        tracing::warn!(item = lost.item, cause = ?lost.waiter, "a waiter had lost its item");
        match lost.waiter {
            Waiter::Event(event) if !row.try_get::<bool, _>("has_ended")? => unknown.push(event.0),
            _ => endings.notify(&lost, Outcome::Superseded, false),
        }
    }
    unknown.sort_unstable();
    for event in unknown {
        // The events are updated one by one, because an event may have lost several items.
        sqlx::query(WAIT_LESS).bind(event).execute(&mut tx).await?;
    }
    endings.write(&mut tx).await?;
    tx.commit().await?;
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

async fn runs(database: &Database, age: Duration) -> Result<u64, sqlx::Error> {
    let lost: Vec<i64> = sqlx::query_scalar(LOST_RUNS).bind(seconds(age)).fetch_all(database).await?;
    for run in &lost {
        tracing::warn!(run, "a run waited for items that do not exist");
        retry::repeat(retry::ALONE, || recount(database, *run)).await?;
    }
    Ok(u64::try_from(lost.len()).unwrap_or(u64::MAX))
}

async fn recount(database: &Database, run: i64) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    if sqlx::query(LOCK_RUN).bind(run).fetch_optional(&mut tx).await?.is_none() {
        return Ok(());
    }
    sqlx::query(RECOUNT).bind(run).execute(&mut tx).await?;
    end_runs(&mut tx, &[run]).await?;
    tx.commit().await
}
