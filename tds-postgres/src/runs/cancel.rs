//! Cancelling a run removes from the queue the items for which only this run and other cancelled runs wait. Resuming
//! the run puts the items back.

use std::time::Duration;

use tds_core::runs::RunId;

use crate::{
    Database,
    db::retry::{ALONE, FOR_OPERATOR, repeat},
    queue::events::end_runs,
};

/// How many times, and at what interval, cancelling tries again to remove items that another session has locked for a
/// moment, for example to settle or renew them.
const LOOKS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(200);

// The statement skips locked rows, because an operator may hold the locks. It locks the items first and then the run,
// as all statements do.
const LOCK_OWN: &str = "
SELECT q.id FROM tds_queue_live q
 WHERE q.id IN (SELECT w.item_id FROM tds_queue_waiters w WHERE w.cause = 'run' AND w.cause_id = $1)
   AND q.dead_lettered_at IS NULL
 ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id FOR UPDATE OF q SKIP LOCKED
";

// This is a separate statement, so that it sees every waiter that was attached before the locks were taken. A claimed
// item is removed as well: its worker finds that the claim is lost. An item for which only this run and other
// cancelled runs wait is kept for this run, and leaves the queue with the last of them.
const TAKE_OUT: &str = "
WITH own AS MATERIALIZED (
  SELECT q.id, bool_or(o.item_id IS NOT NULL) AS is_shared
    FROM tds_queue_live q
    LEFT JOIN tds_queue_waiters o ON o.item_id = q.id AND NOT (o.cause = 'run' AND o.cause_id = $1)
   WHERE q.id = ANY($2::bigint[]) GROUP BY q.id
  HAVING bool_and(o.item_id IS NULL OR o.cause = 'run' AND EXISTS (
           SELECT FROM tds_sync_runs r WHERE r.id = o.cause_id AND r.status = 'cancelled'))),
waiters AS (
  DELETE FROM tds_queue_waiters w USING own WHERE w.item_id = own.id AND w.cause = 'run' AND w.cause_id = $1
  RETURNING w.item_id, w.counted),
gone AS (DELETE FROM tds_queue_live q USING own WHERE q.id = own.id AND NOT own.is_shared)
INSERT INTO tds_run_kept (run_id, entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck,
  observed_began, observed_ended, counted)
SELECT $1, q.entity_type, q.zoho_entity_id, q.priority, q.version, q.payload, q.shape, q.pushed, q.recheck,
  q.observed_began, q.observed_ended, w.counted
  FROM tds_queue_live q JOIN waiters w ON w.item_id = q.id
";

const CANCEL: &str = "
UPDATE tds_sync_runs SET status = 'cancelled', completed_at = clock_timestamp(), lease_token = NULL,
  lease_expires_at = NULL, open_items = open_items - $2
 WHERE id = $1 AND status IN ('pending', 'running')
";

const COUNT_TAKEN: &str = "
UPDATE tds_sync_runs SET open_items = open_items - $2 WHERE id = $1 AND status = 'cancelled'
";

const LEFT: &str = "
SELECT EXISTS (
  SELECT FROM tds_queue_live q JOIN tds_queue_waiters w ON w.item_id = q.id AND w.cause = 'run' AND w.cause_id = $1
   WHERE q.dead_lettered_at IS NULL AND NOT EXISTS (
     SELECT FROM tds_queue_waiters o
       LEFT JOIN tds_sync_runs r ON o.cause = 'run' AND r.id = o.cause_id AND r.status = 'cancelled'
      WHERE o.item_id = q.id AND r.id IS NULL))
";

const UNFINISHED: &str = "
SELECT id FROM tds_sync_runs WHERE status = 'cancelled' AND open_items > 0 ORDER BY id DESC LIMIT 200
";

const PUT_BACK: &str = concat!(
    "WITH kept AS (DELETE FROM tds_run_kept WHERE run_id = $1 RETURNING *),
back AS (
  INSERT INTO tds_queue_live AS q
    (entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck, observed_began, observed_ended)
  SELECT entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck, observed_began, observed_ended
    FROM kept ORDER BY entity_type, zoho_entity_id",
    include_str!("../../sql/parts/fold_into.sql"),
    "),
waiters AS (
  INSERT INTO tds_queue_waiters AS w (item_id, cause, cause_id, generation, counted)
  SELECT back.id, 'run', $1, back.generation, kept.counted FROM back JOIN kept USING (entity_type, zoho_entity_id)
  ON CONFLICT (item_id, cause, cause_id) DO UPDATE SET generation = GREATEST(w.generation, excluded.generation)
  RETURNING w.xmax = 0 AS is_new)
SELECT count(*) FILTER (WHERE is_new) FROM waiters"
);

// A list that was read to its end is not read again. The run waits for its items.
const RESUME: &str = "
UPDATE tds_sync_runs SET status = CASE WHEN listing_done THEN 'running' ELSE 'pending' END, completed_at = NULL,
  error_log = NULL, open_items = open_items + $2,
  checkpoint = COALESCE(checkpoint, '{}') || jsonb_build_object('resumed', true)
 WHERE id = $1 AND status IN ('failed', 'cancelled')
";

const COUNT_BACK: &str = "UPDATE tds_sync_runs SET open_items = open_items + $2 WHERE id = $1 AND $2 > 0";

/// Cancels a run. Returns false if the run has ended.
pub(crate) async fn cancel(database: &Database, id: RunId) -> Result<bool, sqlx::Error> {
    if !repeat(FOR_OPERATOR, || step(database, id.0, CANCEL)).await? {
        return Ok(false);
    }
    // The run is cancelled from here on, whatever happens to the remaining items. See `finish`.
    if let Err(error) = take_out_locked(database, id.0).await {
        tracing::warn!(
            run = %id, %error,
            "some items of a cancelled run are still queued; they are removed in a moment"
        );
    }
    Ok(true)
}

async fn take_out_locked(database: &Database, run: i64) -> Result<(), sqlx::Error> {
    for _ in 0..LOOKS {
        if !sqlx::query_scalar::<_, bool>(LEFT).bind(run).fetch_one(database).await? {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
        take_out_rest(database, run).await?;
    }
    Ok(())
}

/// Removes the items that another session had locked for longer when a run was cancelled, and the items that were
/// left because the process or its connection ended during cancelling.
pub(crate) async fn finish(database: &Database) -> Result<(), sqlx::Error> {
    for run in sqlx::query_scalar::<_, i64>(UNFINISHED).fetch_all(database).await? {
        take_out_rest(database, run).await?;
    }
    Ok(())
}

async fn take_out_rest(database: &Database, run: i64) -> Result<(), sqlx::Error> {
    repeat(ALONE, || step(database, run, COUNT_TAKEN)).await.map(drop)
}

/// Removes the run's own items and counts them. Returns false, and changes nothing, if the run does not have the
/// status that the statement needs.
async fn step(database: &Database, run: i64, count: &'static str) -> Result<bool, sqlx::Error> {
    let mut tx = database.begin().await?;
    let own: Vec<i64> = sqlx::query_scalar(LOCK_OWN).bind(run).fetch_all(&mut tx).await?;
    let taken = if own.is_empty() {
        0
    } else {
        sqlx::query(TAKE_OUT).bind(run).bind(own).execute(&mut tx).await?.rows_affected()
    };
    let taken = i64::try_from(taken).unwrap_or(i64::MAX);
    let counted = sqlx::query(count).bind(run).bind(taken).execute(&mut tx).await?;
    if counted.rows_affected() == 0 {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

/// Resumes a run with the items that cancelling removed. Returns false if there is nothing to resume.
pub(crate) async fn resume(database: &Database, id: RunId) -> Result<bool, sqlx::Error> {
    let mut tx = database.begin().await?;
    let back: i64 = sqlx::query_scalar(PUT_BACK).bind(id.0).fetch_one(&mut tx).await?;
    if sqlx::query(RESUME).bind(id.0).bind(back).execute(&mut tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    // Another transaction may have removed items while this one waited for the run.
    let late: i64 = sqlx::query_scalar(PUT_BACK).bind(id.0).fetch_one(&mut tx).await?;
    sqlx::query(COUNT_BACK).bind(id.0).bind(late).execute(&mut tx).await?;
    end_runs(&mut tx, &[id.0]).await?;
    tx.commit().await?;
    Ok(true)
}
