//! The statements of settling.

use std::{borrow::Cow, collections::HashSet, time::Duration};

use tds_core::{
    queue::{Settle, Settlement},
    record::RecordKey,
};

use crate::{
    Database, Tx,
    ended::{CompletedWaiter, completed},
    settle::Held,
    store::{seconds, storable},
};

// The statement itself is in sql/complete.sql.
pub(crate) const COMPLETE: &str = "SELECT unnest(tds_complete($1, $2, $3, $4))";

// Locked in the order of records, as folding does; the generation is read from the locked row.
pub(crate) const LOCK: &str = "
SELECT q.id, q.lease_token, q.entity_type, q.zoho_entity_id, q.priority, q.generation, q.retry_count, q.claimed_event_id
  FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token) ON q.id = d.id AND q.lease_token = d.token
 ORDER BY q.entity_type, q.zoho_entity_id FOR UPDATE OF q
";

const UPDATE: &str = "
UPDATE tds_queue_live q SET status = u.status, retry_count = COALESCE(u.retry_count, q.retry_count),
  run_at = CASE WHEN u.after IS NULL THEN q.run_at WHEN q.hurried THEN clock_timestamp()
                ELSE clock_timestamp() + make_interval(secs => u.after) END,
  hurried = false, lost_leases = 0,
  error_message = COALESCE(u.error, q.error_message),
  payload = CASE WHEN u.reread THEN NULL ELSE q.payload END,
  queued_at = CASE WHEN u.again THEN COALESCE(q.requeued_at, q.queued_at) ELSE q.queued_at END,
  requeued_at = NULL, claimed_event_id = NULL, lease_token = NULL, lease_owner = NULL, lease_expires_at = NULL,
  dead_lettered_at = CASE WHEN u.status = 'dead_letter' THEN clock_timestamp() END
 FROM unnest($1::bigint[], $2::text[], $3::int[], $4::double precision[], $5::text[], $6::boolean[], $7::boolean[])
   AS u(id, status, retry_count, after, error, reread, again)
WHERE q.id = u.id
";

const ATTEMPTS: &str = "
INSERT INTO tds_queue_attempts (item_id, attempt, started_at, worker, result, error)
SELECT q.id, q.retry_count + 1, q.processing_started_at, q.lease_owner, n.result, n.error
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n(id, result, error) JOIN tds_queue_live q ON q.id = n.id
";

const RESOLVE: &str = "
WITH k AS (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS k(entity_type, zoho_entity_id)),
gone AS (
  DELETE FROM tds_queue_live q USING k WHERE q.dead_lettered_at IS NOT NULL
     AND q.entity_type = k.entity_type AND q.zoho_entity_id = k.zoho_entity_id RETURNING q.*),
done AS (
  INSERT INTO tds_queue_done (id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, outcome,
    retry_count, error_message, queued_at, processing_started_at, processing_completed_at, run_at, version)
  SELECT id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, 'superseded', retry_count,
    error_message, queued_at, processing_started_at, dead_lettered_at, run_at, version FROM gone)
DELETE FROM tds_queue_waiters w USING gone WHERE w.item_id = gone.id
RETURNING w.item_id, w.cause, w.cause_id, w.counted
";

// A record that runs list again and again is one dead letter, the last, unless somebody waits for an older one.
const REPLACE: &str = "
WITH k AS (SELECT id, entity_type, zoho_entity_id FROM tds_queue_live WHERE id = ANY($1::bigint[])),
gone AS (
  DELETE FROM tds_queue_live q USING k WHERE q.dead_lettered_at IS NOT NULL AND q.id <> k.id
     AND q.entity_type = k.entity_type AND q.zoho_entity_id = k.zoho_entity_id
     AND NOT EXISTS (SELECT FROM tds_queue_waiters w WHERE w.item_id = q.id) RETURNING q.*)
INSERT INTO tds_queue_done (id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, outcome,
    retry_count, error_message, queued_at, processing_started_at, processing_completed_at, run_at, version)
  SELECT id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, 'superseded', retry_count,
    error_message, queued_at, processing_started_at, dead_lettered_at, run_at, version FROM gone
";

const TAKE_RUNS: &str = "
DELETE FROM tds_queue_waiters WHERE item_id = ANY($1::bigint[]) AND cause = 'run'
RETURNING item_id, cause, cause_id, counted
";

/// A new state of an item that stays in the queue.
pub(crate) struct Update<'a> {
    id: i64,
    status: &'static str,
    retry_count: i32,
    after: Option<f64>,
    error: Option<Cow<'a, str>>,
    fetch: bool,
    again: bool,
}

impl<'a> Update<'a> {
    /// Work arrived meanwhile: pending, whatever became of the claim.
    pub(crate) fn again(id: i64, settle: &Settle) -> Self {
        let fetch = matches!(settle, Settle::Release { fetch: true, .. });
        Self { id, status: "pending", retry_count: 0, after: None, error: None, fetch, again: true }
    }

    pub(crate) fn retry(id: i64, retry_count: i32, after: Duration, error: &'a str) -> Self {
        Self {
            error: Some(storable(error)),
            ..Self::waiting(id, "failed", retry_count.saturating_add(1), after)
        }
    }

    pub(crate) fn release(
        id: i64,
        retry_count: i32,
        after: Duration,
        fetch: bool,
        reason: Option<&'a str>,
    ) -> Self {
        Self { error: reason.map(storable), fetch, ..Self::waiting(id, "pending", retry_count, after) }
    }

    pub(crate) fn dead_letter(id: i64, retry_count: i32, error: &'a str) -> Self {
        let retry_count = retry_count.saturating_add(1);
        let (status, error) = ("dead_letter", Some(storable(error)));
        Self { id, status, retry_count, after: None, error, fetch: false, again: false }
    }

    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.status == "dead_letter"
    }

    fn waiting(id: i64, status: &'static str, retry_count: i32, after: Duration) -> Self {
        Self { id, status, retry_count, after: Some(seconds(after)), error: None, fetch: false, again: false }
    }
}

/// An attempt worth a row: the plain success at the first attempt is told by the archived item itself.
pub(crate) struct Attempt<'a> {
    item: i64,
    result: &'static str,
    error: Option<Cow<'a, str>>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn of(item: &Held, settle: &'a Settle) -> Option<Self> {
        let (result, error) = match settle {
            Settle::Complete(_) if item.retry_count > 0 => ("completed", None),
            Settle::Complete(_) => return None,
            Settle::Retry { error, .. } => ("retry", Some(storable(error))),
            Settle::Release { reason: None, .. } => return None,
            Settle::Release { reason: Some(reason), .. } => ("released", Some(storable(reason))),
            Settle::DeadLetter { error } => ("dead_letter", Some(storable(error))),
            Settle::Redirect { to, .. } => ("completed", Some(Cow::Owned(format!("moved to {to}")))),
        };
        Some(Self { item: item.id, result, error })
    }
}

/// Ends the items that went well and to which nothing was added meanwhile; answers which.
pub(crate) async fn complete(
    database: &Database,
    settlements: &[&Settlement],
) -> Result<HashSet<i64>, sqlx::Error> {
    let (mut ids, mut tokens, mut generations, mut outcomes) = (vec![], vec![], vec![], vec![]);
    for settlement in settlements {
        if let Settle::Complete(outcome) = settlement.settle {
            ids.push(settlement.lease.id.0);
            tokens.push(settlement.lease.token.0);
            generations.push(settlement.generation);
            outcomes.push(outcome.as_str());
        }
    }
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let ended: Vec<i64> = sqlx::query_scalar(COMPLETE)
        .bind(ids)
        .bind(tokens)
        .bind(generations)
        .bind(outcomes)
        .fetch_all(database)
        .await?;
    Ok(ended.into_iter().collect())
}

/// Writes new states. The items are locked already.
pub(crate) async fn update_items(tx: &mut Tx, updates: &[Update<'_>]) -> Result<(), sqlx::Error> {
    if updates.is_empty() {
        return Ok(());
    }
    sqlx::query(UPDATE)
        .bind(updates.iter().map(|update| update.id).collect::<Vec<_>>())
        .bind(updates.iter().map(|update| update.status).collect::<Vec<_>>())
        .bind(updates.iter().map(|update| update.retry_count).collect::<Vec<_>>())
        .bind(updates.iter().map(|update| update.after).collect::<Vec<_>>())
        .bind(updates.iter().map(|update| update.error.as_deref()).collect::<Vec<_>>())
        .bind(updates.iter().map(|update| update.fetch).collect::<Vec<_>>())
        .bind(updates.iter().map(|update| update.again).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes attempts; before the items change.
pub(crate) async fn note_attempts(tx: &mut Tx, attempts: &[Attempt<'_>]) -> Result<(), sqlx::Error> {
    if attempts.is_empty() {
        return Ok(());
    }
    sqlx::query(ATTEMPTS)
        .bind(attempts.iter().map(|attempt| attempt.item).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.result).collect::<Vec<_>>())
        .bind(attempts.iter().map(|attempt| attempt.error.as_deref()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// A success of a record ends its older dead letters as superseded; answers who waited for them.
pub(crate) async fn resolve_dead_letters(
    tx: &mut Tx,
    keys: &[&RecordKey],
) -> Result<Vec<CompletedWaiter>, sqlx::Error> {
    let rows = sqlx::query(RESOLVE)
        .bind(keys.iter().map(|key| key.entity.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    completed(&rows)
}

/// Archives older dead letters of the records of these, which became dead letters just now.
pub(crate) async fn replace_dead_letters(tx: &mut Tx, items: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query(REPLACE).bind(items).execute(tx).await.map(drop)
}

/// Takes the runs off the items.
pub(crate) async fn take_run_waiters(
    tx: &mut Tx,
    items: &[i64],
) -> Result<Vec<CompletedWaiter>, sqlx::Error> {
    completed(&sqlx::query(TAKE_RUNS).bind(items).fetch_all(tx).await?)
}
