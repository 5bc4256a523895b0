//! The end of claims: one statement for those that went well, one transaction for the others.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use sqlx::Row as _;

use tds_core::{
    queue::{Lane, Settle, Settled, Settlement, Work},
    record::{EntityType, RecordId, RecordKey},
};

use crate::{
    Database, Tx,
    ended::{self, CompletedWaiter, Completions},
    fold::{Batch, WaiterEntry, attach},
    queue::entity_of,
    settle_sql::{self, Attempt, Update},
    store::{BY_INDEX, around_locks},
};

/// A claimed item, locked.
pub(crate) struct Held {
    pub(crate) id: i64,
    pub(crate) key: RecordKey,
    pub(crate) lane: Lane,
    pub(crate) generation: i64,
    pub(crate) retry_count: i32,
    pub(crate) event: Option<i64>,
}

/// A success of a claim.
struct Done {
    item: Held,
    /// Who waits for at most this generation is told.
    upto: i64,
    outcome: &'static str,
    /// The item runs once more.
    again: bool,
}

/// What a transaction is going to do, sorted by kind.
#[derive(Default)]
struct Plan<'a> {
    settled: Settled,
    done: Vec<Done>,
    updates: Vec<Update<'a>>,
    dead: Vec<(i64, String)>,
    redirects: Vec<(Held, &'a EntityType, &'a Work)>,
    attempts: Vec<Attempt<'a>>,
}

/// Settles claims; those whose token is not the item's current one change nothing. The two parts are repeated each by
/// itself: what has ended would be taken for lost the second time. What somebody else has locked waits, and is named.
pub(crate) async fn settle_all(
    database: &Database,
    settlements: &[Settlement],
) -> Result<Settled, sqlx::Error> {
    let (successes, mut rest): (Vec<&Settlement>, Vec<&Settlement>) =
        settlements.iter().partition(|settlement| matches!(settlement.settle, Settle::Complete(_)));
    let mut settled = Settled::default();
    if !successes.is_empty() {
        let successes = successes.as_slice();
        let parted = around_locks(database, successes.len(), |database, range| async move {
            settle_sql::complete(&database, successes.get(range).unwrap_or_default()).await
        });
        let parted = parted.await?;
        let completed: HashSet<i64> = parted.done.into_iter().flatten().collect();
        let locked: HashSet<usize> = parted.locked.into_iter().collect();
        settled.accepted += u64::try_from(completed.len()).unwrap_or(u64::MAX);
        for (index, settlement) in successes.iter().enumerate() {
            if locked.contains(&index) {
                settled.locked.push(settlement.lease.token);
            } else if !completed.contains(&settlement.lease.id.0) {
                rest.push(settlement);
            }
        }
    }
    if !rest.is_empty() {
        let rest = rest.as_slice();
        let parted = around_locks(database, rest.len(), |database, range| async move {
            settle_rest(&database, rest.get(range).unwrap_or_default()).await
        });
        let parted = parted.await?;
        for part in parted.done {
            settled.accepted += part.accepted;
            settled.again += part.again;
            settled.fenced += part.fenced;
        }
        let tokens = parted.locked.iter().filter_map(|index| rest.get(*index));
        settled.locked.extend(tokens.map(|settlement| settlement.lease.token));
    }
    Ok(settled)
}

/// Settles what did not simply end: failures, what is given back, what moves, what runs once more.
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
    // Attempts read the claim's columns, which the updates clear.
    settle_sql::note_attempts(&mut tx, &plan.attempts).await?;
    plan.execute(&mut tx).await?;
    tx.commit().await?;
    Ok(settled)
}

async fn lock(tx: &mut Tx, settlements: &[&Settlement]) -> Result<HashMap<(i64, i64), Held>, sqlx::Error> {
    let ids: Vec<i64> = settlements.iter().map(|settlement| settlement.lease.id.0).collect();
    let tokens: Vec<i64> = settlements.iter().map(|settlement| settlement.lease.token.0).collect();
    let rows = sqlx::query(settle_sql::LOCK).bind(ids).bind(tokens).fetch_all(tx).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let (id, token): (i64, i64) = (row.try_get("id")?, row.try_get("lease_token")?);
        let entity: String = row.try_get("entity_type")?;
        let record: String = row.try_get("zoho_entity_id")?;
        let item = Held {
            id,
            key: RecordKey::new(entity_of(&entity)?, RecordId::new(record)),
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
        self.attempts.extend(Attempt::of(&item, &settlement.settle));
        if again {
            self.updates.push(Update::again(item.id, &settlement.settle));
        }
        match &settlement.settle {
            Settle::Complete(outcome) => {
                // Who was attached without news waits for the claimed generation, or came with the item: all are told.
                let upto = if again { settlement.generation } else { i64::MAX };
                self.done.push(Done { item, upto, outcome: outcome.as_str(), again });
            }
            _ if again => {}
            Settle::Retry { after, error } => {
                self.updates.push(Update::retry(item.id, item.retry_count, *after, error));
            }
            Settle::Release { after, fetch, reason } => {
                let reason = reason.as_deref();
                self.updates.push(Update::release(item.id, item.retry_count, *after, *fetch, reason));
            }
            Settle::DeadLetter { error } => {
                self.updates.push(Update::dead_letter(item.id, item.retry_count, error));
                self.dead.push((item.id, crate::store::storable(error).into_owned()));
            }
            // To itself: nothing to move, so the source is asked.
            Settle::Redirect { to, .. } if *to == item.key.entity => {
                self.updates.push(Update::release(item.id, item.retry_count, Duration::ZERO, true, None));
            }
            Settle::Redirect { to, work } => self.redirects.push((item, to, work)),
        }
    }

    async fn execute(self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let mut endings = Completions::default();
        complete(tx, &self.done, &mut endings).await?;
        settle_sql::update_items(tx, &self.updates).await?;
        dead_letter(tx, &self.dead, &mut endings).await?;
        let waiting: Vec<i64> = self.updates.iter().filter(|u| !u.is_dead()).map(Update::id).collect();
        ended::reopen_events(tx, &waiting, "processing").await?;
        redirect(tx, &self.redirects, &mut endings).await?;
        endings.write(tx).await
    }
}

/// Ends the successes to whose items something was attached while they were being settled. The items are locked: nobody
/// attaches anything to them now, and every statement from here on sees what was attached before.
async fn complete(tx: &mut Tx, done: &[Done], endings: &mut Completions) -> Result<(), sqlx::Error> {
    if done.is_empty() {
        return Ok(());
    }
    let ended: Vec<(i64, &'static str)> =
        done.iter().filter(|done| !done.again).map(|done| (done.item.id, done.outcome)).collect();
    ended::archive(tx, &ended).await?;
    let upto: Vec<(i64, i64)> = done.iter().map(|done| (done.item.id, done.upto)).collect();
    let ends: HashMap<i64, (Option<i64>, &'static str)> =
        done.iter().map(|done| (done.item.id, (done.item.event, done.outcome))).collect();
    for completed in ended::take_waiters(tx, &upto).await? {
        let (source_event, outcome) = ends.get(&completed.item).copied().unwrap_or((None, "superseded"));
        // The event whose payload was used has the item's outcome; the others were folded into it.
        let own = completed.cause == "event" && source_event == Some(completed.id);
        endings.notify(&completed, if own { outcome } else { "superseded" }, false);
    }
    let keys: Vec<&RecordKey> = done.iter().map(|done| &done.item.key).collect();
    for completed in settle_sql::resolve_dead_letters(tx, &keys).await? {
        endings.notify(&completed, "superseded", false);
    }
    Ok(())
}

/// Runs have counted a dead letter; events go on waiting, because a person may retry it.
async fn dead_letter(
    tx: &mut Tx,
    dead: &[(i64, String)],
    endings: &mut Completions,
) -> Result<(), sqlx::Error> {
    if dead.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = dead.iter().map(|item| item.0).collect();
    for completed in settle_sql::take_run_waiters(tx, &ids).await? {
        endings.notify(&completed, "superseded", true);
    }
    ended::fail_events(tx, dead).await?;
    settle_sql::replace_dead_letters(tx, &ids).await
}

/// The work, the events and the runs of the items move to the items of other records.
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
        let key = RecordKey::new((*to).clone(), item.key.id.clone());
        batch.add(&key, item.lane, work, item.event);
        targets.insert(item.id, key);
    }
    move_items(tx, &batch, &targets, endings).await
}

/// Folds a batch into the items of the target records, moves the waiters there and archives the items as superseded.
pub(crate) async fn move_items(
    tx: &mut Tx,
    batch: &Batch,
    targets: &BTreeMap<i64, RecordKey>,
    endings: &mut Completions,
) -> Result<(), sqlx::Error> {
    let places = batch.fold(tx).await?;
    let upto: Vec<(i64, i64)> = targets.keys().map(|item| (*item, i64::MAX)).collect();
    let taken = ended::take_waiters(tx, &upto).await?;
    let mut waiters: Vec<WaiterEntry> = Vec::with_capacity(taken.len());
    for completed in taken {
        let Some(place) = targets.get(&completed.item).and_then(|key| places.of(key)) else { continue };
        let known = waiters.iter().any(|other| {
            other.place.item == place.item && other.id == completed.id && other.cause == completed.cause
        });
        if known {
            // Two items of one cause become one.
            endings.notify(&completed, "superseded", false);
        } else {
            waiters.push(waiter_of(&completed, place));
        }
    }
    for attached in attach(tx, &waiters).await?.iter().filter(|attached| !attached.inserted) {
        endings.merged(attached);
    }
    let gone: Vec<(i64, &'static str)> = targets.keys().map(|item| (*item, "superseded")).collect();
    ended::archive(tx, &gone).await?;
    let moved: Vec<i64> = targets.values().filter_map(|key| places.of(key)).map(|place| place.item).collect();
    ended::reopen_events(tx, &moved, "processing").await
}

fn waiter_of(completed: &CompletedWaiter, place: crate::fold::Place) -> WaiterEntry {
    let cause = if completed.cause == "event" { "event" } else { "run" };
    WaiterEntry { place, cause, id: completed.id, counted: completed.counted }
}
