//! Tells events and runs that the items they waited for have ended.

use std::collections::BTreeMap;

use sqlx::Row as _;

use crate::{Tx, fold::Attached};

const ARCHIVE: &str = "
WITH d AS (SELECT * FROM unnest($1::bigint[], $2::text[]) AS d(id, outcome)),
gone AS (DELETE FROM tds_queue_live q USING d WHERE q.id = d.id RETURNING q.*, d.outcome)
INSERT INTO tds_queue_done (id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, outcome,
  retry_count, error_message, queued_at, processing_started_at, processing_completed_at, run_at, version, worker)
SELECT id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, outcome, retry_count,
  CASE WHEN outcome IN ('discarded', 'superseded') THEN error_message END, queued_at, processing_started_at,
  COALESCE(dead_lettered_at, clock_timestamp()), run_at, version, lease_owner
  FROM gone
";

const TAKE_WAITERS: &str = "
DELETE FROM tds_queue_waiters w USING unnest($1::bigint[], $2::bigint[]) AS d(item_id, generation)
 WHERE w.item_id = d.item_id AND w.generation <= d.generation
RETURNING w.item_id, w.cause, w.cause_id, w.counted
";

const END_EVENTS: &str = "
WITH d AS (SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[]) AS d(id, gone, outcome)),
locked AS MATERIALIZED (SELECT e.id FROM tds_inbox_events e JOIN d USING (id) ORDER BY e.id FOR UPDATE OF e)
UPDATE tds_inbox_events e SET
  open_items = e.open_items - d.gone,
  outcome = tds_better_outcome(e.outcome, d.outcome),
  status = CASE WHEN e.open_items - d.gone <= 0 THEN 'completed' ELSE e.status END,
  error_message = CASE WHEN e.open_items - d.gone <= 0 THEN NULL ELSE e.error_message END,
  processed_at = CASE WHEN e.open_items - d.gone <= 0 THEN clock_timestamp() ELSE e.processed_at END
 FROM d JOIN locked USING (id) WHERE e.id = d.id
";

const FAIL_EVENTS: &str = "
WITH d AS (SELECT DISTINCT ON (w.cause_id) w.cause_id AS id, d.error
             FROM unnest($1::bigint[], $2::text[]) AS d(item_id, error)
             JOIN tds_queue_waiters w ON w.item_id = d.item_id AND w.cause = 'event' ORDER BY w.cause_id),
locked AS MATERIALIZED (SELECT e.id FROM tds_inbox_events e JOIN d USING (id) ORDER BY e.id FOR UPDATE OF e)
UPDATE tds_inbox_events e SET status = 'failed', error_message = d.error, processed_at = clock_timestamp()
  FROM d JOIN locked USING (id) WHERE e.id = d.id
";

const REOPEN_EVENTS: &str = "
WITH locked AS MATERIALIZED (
  SELECT e.id FROM tds_inbox_events e
   WHERE e.status = $2 AND e.id IN (
     SELECT w.cause_id FROM tds_queue_waiters w WHERE w.item_id = ANY($1::bigint[]) AND w.cause = 'event')
   ORDER BY e.id FOR UPDATE)
UPDATE tds_inbox_events e SET status = 'pending', error_message = NULL, processed_at = NULL
  FROM locked WHERE e.id = locked.id
";

const COUNT_RUNS: &str = "
WITH d AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS d(id, gone, ended, failed)),
locked AS MATERIALIZED (SELECT r.id FROM tds_sync_runs r JOIN d USING (id) ORDER BY r.id FOR UPDATE OF r)
UPDATE tds_sync_runs r SET open_items = r.open_items - d.gone, processed_items = r.processed_items + d.ended,
  failed_items = LEAST(r.total_items, r.failed_items + d.failed)
 FROM d JOIN locked USING (id) WHERE r.id = d.id
";

/// A waiter that was taken off its item.
pub(crate) struct CompletedWaiter {
    pub(crate) item: i64,
    pub(crate) cause: String,
    pub(crate) id: i64,
    pub(crate) counted: bool,
}

/// What events and runs are to be told, gathered over a transaction and written at its end.
#[derive(Default)]
pub(crate) struct Completions {
    events: BTreeMap<i64, (i32, &'static str)>,
    runs: BTreeMap<i64, RunCount>,
}

#[derive(Default)]
struct RunCount {
    gone: i64,
    ended: i64,
    failed: i64,
}

impl Completions {
    /// An item ended for one of those who waited.
    pub(crate) fn notify(&mut self, completed: &CompletedWaiter, outcome: &'static str, failed: bool) {
        if completed.cause == "event" {
            let event = self.events.entry(completed.id).or_insert((0, outcome));
            event.0 += 1;
            if rank(outcome) < rank(event.1) {
                event.1 = outcome;
            }
            return;
        }
        let run = self.runs.entry(completed.id).or_default();
        run.gone += 1;
        run.ended += i64::from(completed.counted);
        // Also of a record that was listed before and counted as ended then: it did not end well after all.
        run.failed += i64::from(failed);
    }

    /// A waiter moved to an item where its cause waits already: one less to wait for.
    pub(crate) fn merged(&mut self, attached: &Attached) {
        let completed = CompletedWaiter {
            item: 0,
            cause: attached.cause.clone(),
            id: attached.id,
            counted: attached.counted,
        };
        self.notify(&completed, "superseded", false);
    }

    /// Writes everything: events first, then runs, each in the order of ids.
    pub(crate) async fn write(self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        if !self.events.is_empty() {
            sqlx::query(END_EVENTS)
                .bind(self.events.keys().copied().collect::<Vec<_>>())
                .bind(self.events.values().map(|event| event.0).collect::<Vec<_>>())
                .bind(self.events.values().map(|event| event.1).collect::<Vec<_>>())
                .execute(&mut *tx)
                .await?;
        }
        if self.runs.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = self.runs.keys().copied().collect();
        sqlx::query(COUNT_RUNS)
            .bind(&ids)
            .bind(self.runs.values().map(|run| run.gone).collect::<Vec<_>>())
            .bind(self.runs.values().map(|run| run.ended).collect::<Vec<_>>())
            .bind(self.runs.values().map(|run| run.failed).collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        end_runs(tx, &ids).await
    }
}

/// Ends those runs that have nothing left to wait for.
pub(crate) async fn end_runs(tx: &mut Tx, ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT tds_end_runs($1::bigint[])").bind(ids).execute(tx).await?;
    Ok(())
}

/// Moves items to the archive.
pub(crate) async fn archive(tx: &mut Tx, ended: &[(i64, &'static str)]) -> Result<(), sqlx::Error> {
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query(ARCHIVE)
        .bind(ended.iter().map(|item| item.0).collect::<Vec<_>>())
        .bind(ended.iter().map(|item| item.1).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Takes off the items those who wait for at most the given generations.
pub(crate) async fn take_waiters(
    tx: &mut Tx,
    upto: &[(i64, i64)],
) -> Result<Vec<CompletedWaiter>, sqlx::Error> {
    if upto.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(TAKE_WAITERS)
        .bind(upto.iter().map(|item| item.0).collect::<Vec<_>>())
        .bind(upto.iter().map(|item| item.1).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    completed(&rows)
}

/// Reads waiters that a statement returned.
pub(crate) fn completed(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<CompletedWaiter>, sqlx::Error> {
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(CompletedWaiter {
            item: row.try_get("item_id")?,
            cause: row.try_get("cause")?,
            id: row.try_get("cause_id")?,
            counted: row.try_get("counted")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The events that wait for dead letters have failed.
pub(crate) async fn fail_events(tx: &mut Tx, dead: &[(i64, String)]) -> Result<(), sqlx::Error> {
    if dead.is_empty() {
        return Ok(());
    }
    sqlx::query(FAIL_EVENTS)
        .bind(dead.iter().map(|item| item.0).collect::<Vec<_>>())
        .bind(dead.iter().map(|item| item.1.as_str()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// The events of the items wait again; only those that have the given status.
pub(crate) async fn reopen_events(tx: &mut Tx, items: &[i64], from: &'static str) -> Result<(), sqlx::Error> {
    if items.is_empty() {
        return Ok(());
    }
    sqlx::query(REOPEN_EVENTS).bind(items).bind(from).execute(tx).await?;
    Ok(())
}

fn rank(outcome: &str) -> usize {
    // The same order as `tds_better_outcome`.
    const ORDER: [&str; 7] =
        ["applied", "deleted", "unchanged", "stale", "superseded", "ignored", "discarded"];
    ORDER.iter().position(|name| *name == outcome).unwrap_or(ORDER.len())
}
