//! The maintenance of all tables: blanks old bodies and deletes old rows. Each transaction deletes one batch, so that no lock is held for
//! long.

use std::time::Duration;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    queue::{Healed, QueueMaintenance},
};

use time::OffsetDateTime;

use crate::{
    Database, PgStore,
    db::{error::Doing as _, retry, text::seconds},
    erasure::bodies,
    queue::heal,
};

/// The number of rows of one transaction.
const BATCH: i64 = 1_000;

const DONE: &str = "
DELETE FROM tds_queue_done WHERE id IN (
  SELECT id FROM tds_queue_done WHERE processing_completed_at <= now() - make_interval(secs => $1) LIMIT $2)
";

// A dead letter that carries local changes stays until it is retried or discarded: the changes are nowhere else.
const DEAD: &str = "
WITH gone AS (
  DELETE FROM tds_queue_live WHERE id IN (
    SELECT id FROM tds_queue_live q WHERE dead_lettered_at <= now() - make_interval(secs => $1)
       AND NOT EXISTS (SELECT FROM tds_outbox o
                        WHERE q.direction = 'outbound' AND o.entity_type = q.entity_type
                          AND o.local_id::text = q.entity_id AND o.status = 'pending')
     ORDER BY entity_type, zoho_entity_id, entity_id LIMIT $2 FOR UPDATE SKIP LOCKED)
  RETURNING id),
waiters AS (DELETE FROM tds_queue_waiters w USING gone WHERE w.item_id = gone.id RETURNING w.cause, w.cause_id),
counts AS (SELECT cause_id AS id, count(*)::int AS n FROM waiters WHERE cause = 'event' GROUP BY cause_id),
events AS (UPDATE tds_inbox_events e SET open_items = e.open_items - counts.n FROM counts WHERE e.id = counts.id)
SELECT id FROM gone
";

// An event ends only when it waits for no item. Failed events are kept for an operator, as dead letters are.
const EVENTS: &str = "
DELETE FROM tds_inbox_events WHERE id IN (
  SELECT id FROM tds_inbox_events
   WHERE received_at <= now() - make_interval(secs => $1) AND processed_at <= now() - make_interval(secs => $1)
     AND open_items <= 0 AND (status = 'completed' OR status = 'failed' AND $3)
   LIMIT $2 FOR UPDATE SKIP LOCKED)
";

// Bodies of events that ended and wait for no item. The batches go by the time of receipt, so that blanked events are not
// looked at again and again.
const BODIES: &str = "
WITH old AS MATERIALIZED (
  SELECT id, received_at FROM tds_inbox_events
   WHERE received_at >= $3 AND received_at <= now() - make_interval(secs => $1) AND blanked_at IS NULL
     AND processed_at <= now() - make_interval(secs => $1) AND open_items <= 0 AND status IN ('completed', 'failed')
     AND raw_payload <> ''
   ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED),
blanked AS (
  UPDATE tds_inbox_events e SET raw_payload = '', blanked_at = clock_timestamp() FROM old WHERE e.id = old.id)
SELECT count(*), max(received_at) FROM old
";
// A run that ended may still be resumed: its records are then read again.
const KEPT: &str = "
UPDATE tds_run_kept SET payload = NULL, shape = NULL, pushed = NULL WHERE ctid = ANY (ARRAY(
  SELECT k.ctid FROM tds_run_kept k JOIN tds_sync_runs r ON r.id = k.run_id
   WHERE r.completed_at <= now() - make_interval(secs => $1) AND k.payload IS NOT NULL LIMIT $2))
";

const ATTEMPTS: &str = "
DELETE FROM tds_queue_attempts WHERE id IN (
  SELECT a.id FROM tds_queue_attempts a
   WHERE a.ended_at <= now() - make_interval(secs => $1)
     AND NOT EXISTS (SELECT FROM tds_queue_live q WHERE q.id = a.item_id)
     AND NOT EXISTS (SELECT FROM tds_queue_done d WHERE d.id = a.item_id)
   LIMIT $2)
";

// The newest run of each entity type and run type stays: the next run measures its progress against it.
const RUNS: &str = "
WITH gone AS (DELETE FROM tds_sync_runs WHERE id IN (
  SELECT r.id FROM tds_sync_runs r
   WHERE r.completed_at <= now() - make_interval(secs => $1) AND r.status NOT IN ('pending', 'running')
     AND r.open_items <= 0 AND r.held_ids = '{}'
     AND EXISTS (SELECT FROM tds_sync_runs n
                  WHERE n.entity_type = r.entity_type AND n.run_type = r.run_type AND n.id > r.id)
   LIMIT $2) RETURNING id),
records AS (DELETE FROM tds_run_records d USING gone WHERE d.run_id = gone.id),
kept AS (DELETE FROM tds_run_kept k USING gone WHERE k.run_id = gone.id),
findings AS (DELETE FROM tds_verify_findings f USING gone WHERE f.run_id = gone.id),
counts AS (DELETE FROM tds_verify_counts c USING gone WHERE c.run_id = gone.id)
SELECT id FROM gone
";

// A verification is gone when all of its runs are gone.
const VERIFICATIONS: &str = "
DELETE FROM tds_verifications v WHERE NOT EXISTS (SELECT FROM tds_sync_runs r WHERE r.verification = v.id)
";

// A run that ended well is not resumed, so the list of its records is not needed any more. No other statement changes
// these rows.
const LISTED: &str = "
DELETE FROM tds_run_records d USING tds_sync_runs r WHERE d.run_id = r.id AND r.status = 'completed'
";

// One row per entity type replaces the rows of single statements. A concurrent reader sees either the old or the new
// rows.
const TALLY: &str = "
WITH gone AS (DELETE FROM tds_queue_tally RETURNING entity_type, completed)
INSERT INTO tds_queue_tally SELECT entity_type, sum(completed) FROM gone GROUP BY entity_type
";

// The statistics are deleted in whole days.
const CALLS: &str = "
DELETE FROM tds_api_calls WHERE (account, day, lane, endpoint, result) IN (
  SELECT account, day, lane, endpoint, result FROM tds_api_calls
   WHERE day < ((now() - make_interval(secs => $1)) AT TIME ZONE 'UTC')::date LIMIT $2)
";

const DECISIONS: &str = "
DELETE FROM tds_decisions WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM tds_decisions WHERE at <= now() - make_interval(secs => $1) LIMIT $2))
";
// Changes that ended, and conflicts that were decided. A parked change keeps its conflict.
const CHANGES: &str = "
DELETE FROM tds_outbox WHERE id IN (
  SELECT id FROM tds_outbox WHERE settled_at <= now() - make_interval(secs => $1)
     AND status NOT IN ('pending', 'conflict') LIMIT $2)
";
const CONFLICTS: &str = "
DELETE FROM tds_conflicts WHERE id IN (
  SELECT c.id FROM tds_conflicts c
   WHERE c.resolved_at <= now() - make_interval(secs => $1) AND c.status = 'resolved'
     AND NOT EXISTS (SELECT FROM tds_outbox o
                      WHERE o.entity_type = c.entity_type AND o.local_id = c.local_id
                        AND o.status IN ('pending', 'conflict') AND o.conflict_id = c.id)
   LIMIT $2)
";
// Whole weeks are measured, so these rows stay for five weeks, however short the retention is.
const MEASURES: [&str; 4] = [
    "DELETE FROM tds_answer_times WHERE ctid IN (SELECT ctid FROM tds_answer_times
      WHERE hour < now() - make_interval(secs => GREATEST($1, 3024000)) LIMIT $2)",
    "DELETE FROM tds_webhook_coverage WHERE ctid IN (SELECT ctid FROM tds_webhook_coverage
      WHERE day < ((now() - make_interval(secs => GREATEST($1, 3024000))) AT TIME ZONE 'UTC')::date LIMIT $2)",
    "DELETE FROM tds_webhook_histories WHERE ctid IN (SELECT ctid FROM tds_webhook_histories
      WHERE checked_at < now() - make_interval(secs => GREATEST($1, 3024000)) LIMIT $2)",
    "DELETE FROM tds_table_sizes WHERE ctid IN (SELECT ctid FROM tds_table_sizes
      WHERE day < ((now() - make_interval(secs => GREATEST($1, 3024000))) AT TIME ZONE 'UTC')::date LIMIT $2)",
];

// The conditions are those of DONE, DEAD and EVENTS. If dead letters are counted, open items do not keep an event,
// because deleting the dead letters reduces `open_items`.
const COUNT: &str = "
SELECT (SELECT count(*) FROM tds_queue_done WHERE processing_completed_at <= now() - make_interval(secs => $1))
     + (SELECT count(*) FROM tds_queue_live WHERE $2 AND dead_lettered_at <= now() - make_interval(secs => $1))
     + (SELECT count(*) FROM tds_inbox_events
         WHERE received_at <= now() - make_interval(secs => $1) AND processed_at <= now() - make_interval(secs => $1)
           AND (open_items <= 0 OR $2) AND (status = 'completed' OR status = 'failed' AND $2))
";

#[async_trait]
impl QueueMaintenance for PgStore {
    async fn prunable(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        let count = sqlx::query_scalar(COUNT).bind(seconds(age)).bind(dead_letters);
        let count: i64 = count.fetch_one(&self.database).await.doing("counting what can be deleted")?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        prune(&self.database, age, dead_letters).await.doing("deleting what is old")
    }

    async fn blank(&self, age: Duration) -> Result<u64> {
        let named =
            bodies::blank_new(&self.database).await.doing("blanking bodies that name erased records")?;
        Ok(named + blank(&self.database, age).await.doing("blanking old bodies")?)
    }

    async fn heal(&self, age: Duration, within: Option<Duration>) -> Result<Healed> {
        heal::heal(&self.database, age, within).await.doing("looking for waiters without items")
    }
}

/// Deletes what ended longer than `age` ago. Returns the number of items and events.
async fn prune(database: &Database, age: Duration, dead_letters: bool) -> Result<u64, sqlx::Error> {
    let mut deleted = batches(database, DONE, age, None).await?;
    if dead_letters {
        deleted += batches(database, DEAD, age, None).await?;
    }
    deleted += batches(database, EVENTS, age, Some(dead_letters)).await?;
    retry::repeat(retry::ALONE, || sqlx::query(LISTED).execute(database)).await?;
    for statement in [DECISIONS, ATTEMPTS, RUNS, CALLS, CHANGES, CONFLICTS].into_iter().chain(MEASURES) {
        batches(database, statement, age, None).await?;
    }
    for statement in [VERIFICATIONS, TALLY] {
        retry::repeat(retry::ALONE, || sqlx::query(statement).execute(database)).await?;
    }
    Ok(deleted)
}

/// Blanks the bodies of what ended longer than `age` ago. Returns their number.
async fn blank(database: &Database, age: Duration) -> Result<u64, sqlx::Error> {
    let mut blanked = batches(database, KEPT, age, None).await?;
    let mut after = OffsetDateTime::UNIX_EPOCH;
    loop {
        let blank = || {
            let query = sqlx::query_as(BODIES).bind(seconds(age)).bind(BATCH).bind(after);
            query.fetch_one(database)
        };
        let (count, newest): (i64, Option<OffsetDateTime>) = retry::repeat(retry::ALONE, blank).await?;
        blanked += count.unsigned_abs();
        match newest {
            Some(newest) if count >= BATCH => after = newest,
            _ => return Ok(blanked),
        }
    }
}

async fn batches(
    database: &Database,
    statement: &'static str,
    age: Duration,
    failed_too: Option<bool>,
) -> Result<u64, sqlx::Error> {
    let mut deleted: u64 = 0;
    loop {
        let delete = || {
            let query = sqlx::query(statement).bind(seconds(age)).bind(BATCH);
            let query = if let Some(flag) = failed_too { query.bind(flag) } else { query };
            query.execute(database)
        };
        let gone = retry::repeat(retry::ALONE, delete).await?.rows_affected();
        deleted += gone;
        if gone < BATCH.unsigned_abs() {
            return Ok(deleted);
        }
    }
}
