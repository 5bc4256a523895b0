//! Notifies events and runs that the items they waited for have ended.

use std::{borrow::Cow, collections::BTreeMap};

use sqlx::postgres::PgRow;
use tds_core::{
    inbox::InboxId,
    queue::{Outcome, Waiter},
    runs::RunId,
};

use super::fold::ItemWaiter;
use crate::{Tx, db::text::column};

const TAKE_WAITERS: &str = "
DELETE FROM tds_queue_waiters w USING unnest($1::bigint[], $2::bigint[]) AS d(item_id, generation)
 WHERE w.item_id = d.item_id AND w.generation <= d.generation
RETURNING w.item_id, w.cause, w.cause_id, w.counted
";

const TAKE_ALL_BUT_EVENTS: &str = "
DELETE FROM tds_queue_waiters WHERE item_id = ANY($1::bigint[]) AND cause <> 'event'
RETURNING item_id, cause, cause_id, counted
";

const END_EVENTS: &str = concat!(
    "
WITH d AS (SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[]) AS d(id, gone, outcome)),
ended_events AS MATERIALIZED (SELECT d.* FROM tds_inbox_events e JOIN d USING (id) ORDER BY e.id FOR UPDATE OF e)
",
    include_str!("../../sql/parts/end_events.sql")
);

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
   WHERE e.status = 'processing' AND e.id IN (
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

/// The notifications for events and runs. They are collected during a transaction and written at its end.
#[derive(Default)]
pub(crate) struct Completions {
    events: BTreeMap<InboxId, (i32, Outcome)>,
    runs: BTreeMap<RunId, RunCount>,
}

#[derive(Default)]
struct RunCount {
    gone: i64,
    ended: i64,
    failed: i64,
}

impl Completions {
    /// Records that an item ended for one of its waiters. A waiter that moved to an item for which it waits already
    /// also has one item less to wait for.
    pub(crate) fn notify(&mut self, waiter: &ItemWaiter, outcome: Outcome, failed: bool) {
        match waiter.waiter {
            Waiter::Event(event) => {
                let (gone, best) = self.events.entry(event).or_insert((0, outcome));
                *gone += 1;
                // The order is the same as in `tds_better_outcome`.
                *best = outcome.min(*best);
            }
            Waiter::Run(run) => {
                let run = self.runs.entry(run).or_default();
                run.gone += 1;
                run.ended += i64::from(waiter.counted);
                // A record that was listed before counted as ended then. Its failure is counted as well.
                run.failed += i64::from(failed);
            }
            Waiter::Operator => {}
        }
    }

    /// Writes everything: first the events, then the runs, each in the order of ids.
    pub(crate) async fn write(self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        if !self.events.is_empty() {
            sqlx::query(END_EVENTS)
                .bind(self.events.keys().map(|event| event.0).collect::<Vec<_>>())
                .bind(self.events.values().map(|event| event.0).collect::<Vec<_>>())
                .bind(self.events.values().map(|event| event.1.as_str()).collect::<Vec<_>>())
                .execute(&mut *tx)
                .await?;
        }
        if self.runs.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = self.runs.keys().map(|run| run.0).collect();
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

/// Ends the runs that have nothing left to wait for.
pub(crate) async fn end_runs(tx: &mut Tx, ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT tds_end_runs($1::bigint[])").bind(ids).execute(tx).await.map(drop)
}

/// Removes the waiters that wait for at most the given generation of each item.
pub(crate) async fn take_waiters(tx: &mut Tx, upto: &[(i64, i64)]) -> Result<Vec<ItemWaiter>, sqlx::Error> {
    if upto.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query(TAKE_WAITERS)
        .bind(column(upto, |item| item.0))
        .bind(column(upto, |item| item.1))
        .try_map(|row: PgRow| ItemWaiter::of(&row))
        .fetch_all(tx)
        .await
}

/// Removes the waiters from dead letters, except for the events.
pub(crate) async fn take_all_but_events(tx: &mut Tx, dead: &[i64]) -> Result<Vec<ItemWaiter>, sqlx::Error> {
    sqlx::query(TAKE_ALL_BUT_EVENTS).bind(dead).try_map(|row: PgRow| ItemWaiter::of(&row)).fetch_all(tx).await
}

/// Marks the events that wait for the given dead letters as failed, each with the error of its dead letter.
pub(crate) async fn fail_events(
    tx: &mut Tx,
    dead: &[i64],
    errors: Vec<Option<Cow<'_, str>>>,
) -> Result<(), sqlx::Error> {
    sqlx::query(FAIL_EVENTS).bind(dead).bind(errors).execute(tx).await.map(drop)
}

/// Marks the events that wait for the items as pending again, if the events are marked as processing.
pub(crate) async fn reopen_events(tx: &mut Tx, items: &[i64]) -> Result<(), sqlx::Error> {
    if items.is_empty() {
        return Ok(());
    }
    sqlx::query(REOPEN_EVENTS).bind(items).execute(tx).await.map(drop)
}
