//! The end of claims: one statement for the successes, one transaction for the other settlements.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use sqlx::{Row as _, postgres::PgRow};

use tds_core::{
    inbox::InboxId,
    queue::{AttemptResult, ItemStatus, Lane, Outcome, Settle, Settled, Settlement, Waiter, Work, WorkKey},
    record::EntityType,
};

use super::{
    events::{self, Completions},
    fold::{Batch, NewWaiter, attach, key_of},
};
use crate::{
    Database, Tx,
    db::{
        parts::around_locks,
        session::BY_INDEX,
        text::{column, seconds, storable},
    },
    erasure::bodies::{self, Unread},
};

// The statement itself is in sql/complete.sql.
pub(crate) const COMPLETE: &str = "SELECT unnest(tds_complete($1, $2, $3, $4))";

// The rows are locked in the order of records, as folding does. The generation is read from the locked row.
const LOCK: &str = "
SELECT q.id, q.lease_token, q.direction, q.entity_type, q.zoho_entity_id, q.entity_id, q.priority, q.generation,
       q.retry_count, q.claimed_event_id
  FROM tds_queue_live q JOIN unnest($1::bigint[], $2::bigint[]) AS d(id, token) ON q.id = d.id AND q.lease_token = d.token
 ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id FOR UPDATE OF q
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

const ATTEMPTS: &str = concat!(
    include_str!("../../sql/parts/attempt.sql"),
    " n.result, n.error
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n(id, result, error) JOIN tds_queue_live t ON t.id = n.id
"
);

const ARCHIVE: &str = concat!(
    "
WITH d AS (SELECT * FROM unnest($1::bigint[], $2::text[]) AS d(id, outcome)),
ended AS (DELETE FROM tds_queue_live q USING d WHERE q.id = d.id RETURNING q.*, d.outcome)
",
    include_str!("../../sql/parts/archive.sql")
);

const DEAD_LETTERS: &str = "
WITH k AS (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS k(direction, entity_type, id))
SELECT q.id FROM k JOIN tds_queue_live q
    ON q.entity_type = k.entity_type AND COALESCE(q.zoho_entity_id, q.entity_id) = k.id AND q.direction = k.direction
 WHERE q.dead_lettered_at IS NOT NULL ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id, q.id FOR UPDATE OF q
";

// A record that fails again and again has one dead letter, the last one. Older dead letters stay only if they have
// waiters.
const OLDER_DEAD_LETTERS: &str = "
SELECT q.id FROM tds_queue_live k
  JOIN tds_queue_live q ON q.entity_type = k.entity_type AND q.direction = k.direction
    AND COALESCE(q.zoho_entity_id, q.entity_id) = COALESCE(k.zoho_entity_id, k.entity_id)
 WHERE k.id = ANY($1::bigint[]) AND q.dead_lettered_at IS NOT NULL AND q.id <> k.id
   AND NOT EXISTS (SELECT FROM tds_queue_waiters w WHERE w.item_id = q.id)
 ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id, q.id FOR UPDATE OF q
";

/// A claimed item whose row is locked.
struct Held {
    id: i64,
    key: WorkKey,
    lane: Lane,
    generation: i64,
    retry_count: i32,
    /// The event whose payload the claim carries.
    event: Option<i64>,
}

/// The success of a claim.
struct Done {
    item: Held,
    /// Waiters that wait for at most this generation are notified.
    upto: i64,
    outcome: Outcome,
    /// True if the item runs once more.
    again: bool,
}

/// The actions of a transaction, sorted by kind.
#[derive(Default)]
struct Plan<'a> {
    settled: Settled,
    done: Vec<Done>,
    updates: Vec<Update<'a>>,
    redirects: Vec<(Held, &'a EntityType, &'a Work)>,
    attempts: Vec<(i64, AttemptResult, Option<Cow<'a, str>>)>,
}

/// The new state of an item that stays in the queue.
struct Update<'a> {
    id: i64,
    status: ItemStatus,
    retry_count: i32,
    after: Option<Duration>,
    error: Option<&'a str>,
    /// True if the source is asked for the record.
    fetch: bool,
    /// True if work arrived during the claim.
    again: bool,
}

/// Settles claims. A settlement whose token is not the item's current token changes nothing. Each of the two parts is
/// repeated by itself, because a repetition would take an item that has already ended for a lost claim. Settlements
/// of items that another session has locked are not executed, and their tokens are returned in `locked`.
pub(crate) async fn settle_all(
    database: &Database,
    settlements: &[Settlement],
) -> Result<Settled, sqlx::Error> {
    let (successes, mut rest): (Vec<&Settlement>, Vec<&Settlement>) =
        settlements.iter().partition(|settlement| matches!(settlement.settle, Settle::Complete(_)));
    let mut settled = Settled::default();
    if !successes.is_empty() {
        let parted = around_locks(database, successes.clone(), |database, part| async move {
            complete(&database, &part).await
        });
        let parted = parted.await?;
        let completed: HashSet<i64> = parted.done.into_iter().flatten().collect();
        settled.accepted += u64::try_from(completed.len()).unwrap_or(u64::MAX);
        settled.locked.extend(parted.locked.iter().map(|settlement| settlement.lease.token));
        let left = |settlement: &&Settlement| {
            let lease = settlement.lease;
            !completed.contains(&lease.id.0) && !settled.locked.contains(&lease.token)
        };
        rest.extend(successes.into_iter().filter(left));
    }
    if !rest.is_empty() {
        let parted =
            around_locks(database, rest, |database, part| async move { settle_rest(&database, &part).await });
        let parted = parted.await?;
        for part in parted.done {
            settled.accepted += part.accepted;
            settled.again += part.again;
            settled.fenced += part.fenced;
        }
        settled.locked.extend(parted.locked.iter().map(|settlement| settlement.lease.token));
    }
    Ok(settled)
}

/// Settles the claims that did not simply end: failures, releases, redirects, and items that run once more.
async fn settle_rest(database: &Database, settlements: &[&Settlement]) -> Result<Settled, sqlx::Error> {
    let mut tx = database.begin_with(BY_INDEX).await?;
    let mut held = lock(&mut tx, settlements).await?;
    let mut plan = Plan::default();
    for settlement in settlements {
        match held.remove(&(settlement.lease.id.0, settlement.lease.token.0)) {
            Some(item) => plan.add(item, settlement),
            None => plan.settled.fenced += 1,
        }
    }
    let settled = std::mem::take(&mut plan.settled);
    plan.execute(&mut tx).await?;
    tx.commit().await?;
    Ok(settled)
}

async fn lock(tx: &mut Tx, settlements: &[&Settlement]) -> Result<HashMap<(i64, i64), Held>, sqlx::Error> {
    let rows = sqlx::query(LOCK)
        .bind(column(settlements, |settlement| settlement.lease.id.0))
        .bind(column(settlements, |settlement| settlement.lease.token.0))
        .fetch_all(tx)
        .await?;
    let read = |row: &PgRow| {
        let (id, token): (i64, i64) = (row.try_get("id")?, row.try_get("lease_token")?);
        let item = Held {
            id,
            key: key_of(row)?,
            lane: Lane::from_priority(row.try_get("priority")?),
            generation: row.try_get("generation")?,
            retry_count: row.try_get("retry_count")?,
            event: row.try_get("claimed_event_id")?,
        };
        Ok(((id, token), item))
    };
    rows.iter().map(read).collect()
}

impl<'a> Plan<'a> {
    fn add(&mut self, item: Held, settlement: &'a Settlement) {
        let again = item.generation > settlement.generation;
        self.settled.accepted += 1;
        self.settled.again += u64::from(again);
        if let Some((result, error)) = settlement.settle.attempt(item.retry_count.unsigned_abs()) {
            self.attempts.push((item.id, result, error));
        }
        let (id, retries, failures) = (item.id, item.retry_count, item.retry_count.saturating_add(1));
        let mut update = |status, retry_count, after, error: Option<&'a str>, fetch| {
            self.updates.push(Update { id, status, retry_count, after, error, fetch, again });
        };
        if again {
            // Work arrived during the claim, so the item becomes pending, whatever the result of the claim.
            let fetch = matches!(settlement.settle, Settle::Release { fetch: true, .. });
            update(ItemStatus::Pending, 0, None, None, fetch);
        }
        match &settlement.settle {
            Settle::Complete(outcome) => {
                // If the generation did not move, all waiters are notified: those that were attached without new work
                // wait for the claimed generation, and the others came with the item.
                let upto = if again { settlement.generation } else { i64::MAX };
                self.done.push(Done { item, upto, outcome: *outcome, again });
            }
            _ if again => {}
            Settle::Retry { after, error } => {
                update(ItemStatus::Failed, failures, Some(*after), Some(error.as_str()), false);
            }
            Settle::Release { after, fetch, reason } => {
                update(ItemStatus::Pending, retries, Some(*after), reason.as_deref(), *fetch);
            }
            Settle::DeadLetter { error } => {
                update(ItemStatus::DeadLetter, failures, None, Some(error.as_str()), false);
            }
            // A redirect to the same entity type has nothing to move, so the source is asked.
            Settle::Redirect { to, .. } if *to == item.key.entity => {
                update(ItemStatus::Pending, retries, Some(Duration::ZERO), None, true);
            }
            Settle::Redirect { to, work } => self.redirects.push((item, to, work)),
        }
    }

    async fn execute(self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let mut endings = Completions::default();
        // Writing the attempts reads columns of the claim, which the updates clear.
        note_attempts(tx, &self.attempts).await?;
        end_attached(tx, &self.done, &mut endings).await?;
        update_items(tx, &self.updates).await?;
        let (dead, waiting): (Vec<&Update<'_>>, Vec<&Update<'_>>) =
            self.updates.iter().partition(|update| update.status == ItemStatus::DeadLetter);
        dead_letter(tx, &dead, &mut endings).await?;
        let waiting = column(&waiting, |update| update.id);
        events::reopen_events(tx, &waiting).await?;
        redirect(tx, &self.redirects, &mut endings).await?;
        endings.write(tx).await
    }
}

/// Ends the successes to whose items work or a waiter was attached while they were being settled. The rows of the
/// items are locked, so nothing more can be attached to them, and every later statement sees what was attached
/// before.
async fn end_attached(tx: &mut Tx, done: &[Done], endings: &mut Completions) -> Result<(), sqlx::Error> {
    if done.is_empty() {
        return Ok(());
    }
    let ended: Vec<(i64, Outcome)> =
        done.iter().filter(|done| !done.again).map(|done| (done.item.id, done.outcome)).collect();
    archive(tx, &ended).await?;
    let upto: Vec<(i64, i64)> = done.iter().map(|done| (done.item.id, done.upto)).collect();
    let ends: HashMap<i64, (Option<i64>, Outcome)> =
        done.iter().map(|done| (done.item.id, (done.item.event, done.outcome))).collect();
    for completed in events::take_waiters(tx, &upto).await? {
        let (source_event, outcome) =
            ends.get(&completed.item).copied().unwrap_or((None, Outcome::Superseded));
        // The event whose payload was used gets the outcome of the item. The other events were folded into it.
        let own = source_event.is_some_and(|event| completed.waiter == Waiter::Event(InboxId(event)));
        endings.notify(&completed, if own { outcome } else { Outcome::Superseded }, false);
    }
    // The older dead letters of records that succeeded end as well.
    let dead: Vec<i64> = sqlx::query_scalar(DEAD_LETTERS)
        .bind(column(done, |done| done.item.key.direction.as_str()))
        .bind(column(done, |done| done.item.key.entity.as_str()))
        .bind(column(done, |done| storable(done.item.key.id.as_str())))
        .fetch_all(&mut *tx)
        .await?;
    end_items(tx, &dead, Outcome::Superseded, endings).await
}

/// Counts the dead letters for their runs. Events keep waiting, because an operator may retry a dead letter.
async fn dead_letter(
    tx: &mut Tx,
    dead: &[&Update<'_>],
    endings: &mut Completions,
) -> Result<(), sqlx::Error> {
    if dead.is_empty() {
        return Ok(());
    }
    let ids = column(dead, |update| update.id);
    for completed in events::take_all_but_events(tx, &ids).await? {
        endings.notify(&completed, Outcome::Superseded, true);
    }
    events::fail_events(tx, &ids, column(dead, |update| update.error.map(storable))).await?;
    let older: Vec<i64> = sqlx::query_scalar(OLDER_DEAD_LETTERS).bind(&ids).fetch_all(&mut *tx).await?;
    archive(tx, &all_as(&older, Outcome::Superseded)).await
}

/// Moves the work, the events and the runs of the items to the items of other records.
async fn redirect(
    tx: &mut Tx,
    redirects: &[(Held, &EntityType, &Work)],
    endings: &mut Completions,
) -> Result<(), sqlx::Error> {
    if redirects.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::default();
    let mut targets = BTreeMap::new();
    for (item, to, work) in redirects {
        let key = WorkKey { entity: (*to).clone(), ..item.key.clone() };
        batch.add(key.clone(), item.lane, work, item.event);
        targets.insert(item.id, key);
    }
    move_items(tx, &batch, &targets, endings).await
}

/// Folds a batch into the items of the target records, moves the waiters there and archives the items as superseded.
async fn move_items(
    tx: &mut Tx,
    batch: &Batch,
    targets: &BTreeMap<i64, WorkKey>,
    endings: &mut Completions,
) -> Result<(), sqlx::Error> {
    let places = batch.fold(tx).await?;
    let upto: Vec<(i64, i64)> = targets.keys().map(|item| (*item, i64::MAX)).collect();
    let taken = events::take_waiters(tx, &upto).await?;
    let mut waiters: Vec<NewWaiter> = Vec::with_capacity(taken.len());
    for taken in taken {
        let Some(place) = targets.get(&taken.item).and_then(|key| places.of(key)) else { continue };
        let known =
            waiters.iter().any(|other| other.place.item == place.item && other.waiter == taken.waiter);
        if known {
            // Two items for which one waiter waited become one item.
            endings.notify(&taken, Outcome::Superseded, false);
        } else {
            waiters.push(NewWaiter { place, waiter: taken.waiter, counted: taken.counted });
        }
    }
    for known in attach(tx, &waiters).await?.1 {
        endings.notify(&known, Outcome::Superseded, false);
    }
    let ids: Vec<i64> = targets.keys().copied().collect();
    archive(tx, &all_as(&ids, Outcome::Superseded)).await?;
    let moved: Vec<i64> = targets.values().filter_map(|key| places.of(key)).map(|place| place.item).collect();
    events::reopen_events(tx, &moved).await
}

/// Ends the items that succeeded and to which nothing was added meanwhile. Returns the ids of the ended items.
async fn complete(database: &Database, settlements: &[&Settlement]) -> Result<HashSet<i64>, sqlx::Error> {
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
    // No read of a record has screened the bodies that brought such items.
    let ignored = ids.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Ignored.as_str());
    bodies::blank_unread(database, Unread::Items, ignored.map(|(id, _)| *id).collect()).await;
    let ended: Vec<i64> = sqlx::query_scalar(COMPLETE)
        .bind(ids)
        .bind(tokens)
        .bind(generations)
        .bind(outcomes)
        .fetch_all(database)
        .await?;
    Ok(ended.into_iter().collect())
}

/// Writes the new states. The rows of the items are already locked.
async fn update_items(tx: &mut Tx, updates: &[Update<'_>]) -> Result<(), sqlx::Error> {
    if updates.is_empty() {
        return Ok(());
    }
    sqlx::query(UPDATE)
        .bind(column(updates, |update| update.id))
        .bind(column(updates, |update| update.status.as_str()))
        .bind(column(updates, |update| update.retry_count))
        .bind(column(updates, |update| update.after.map(seconds)))
        .bind(column(updates, |update| update.error.map(storable)))
        .bind(column(updates, |update| update.fetch))
        .bind(column(updates, |update| update.again))
        .execute(tx)
        .await
        .map(drop)
}

/// Writes the attempts. This must happen before the items change.
async fn note_attempts(
    tx: &mut Tx,
    attempts: &[(i64, AttemptResult, Option<Cow<'_, str>>)],
) -> Result<(), sqlx::Error> {
    if attempts.is_empty() {
        return Ok(());
    }
    sqlx::query(ATTEMPTS)
        .bind(column(attempts, |(item, ..)| *item))
        .bind(column(attempts, |(_, result, _)| result.as_str()))
        .bind(column(attempts, |(.., error)| error.as_deref().map(storable)))
        .execute(tx)
        .await
        .map(drop)
}

/// Moves items to the archive and notifies all of their waiters.
async fn end_items(
    tx: &mut Tx,
    items: &[i64],
    outcome: Outcome,
    endings: &mut Completions,
) -> Result<(), sqlx::Error> {
    archive(tx, &all_as(items, outcome)).await?;
    let upto: Vec<(i64, i64)> = items.iter().map(|item| (*item, i64::MAX)).collect();
    for completed in events::take_waiters(tx, &upto).await? {
        endings.notify(&completed, outcome, false);
    }
    Ok(())
}

fn all_as(items: &[i64], outcome: Outcome) -> Vec<(i64, Outcome)> {
    items.iter().map(|item| (*item, outcome)).collect()
}

/// Moves items to the archive.
async fn archive(tx: &mut Tx, ended: &[(i64, Outcome)]) -> Result<(), sqlx::Error> {
    if ended.is_empty() {
        return Ok(());
    }
    sqlx::query(ARCHIVE)
        .bind(column(ended, |item| item.0))
        .bind(column(ended, |item| item.1.as_str()))
        .execute(tx)
        .await
        .map(drop)
}
