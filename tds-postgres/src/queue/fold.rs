//! Adds work to the queue. There is at most one live item per key, and new work is folded into the live item.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use sqlx::{Row as _, postgres::PgRow};
use tokio::time::Instant;

use tds_core::{
    inbox::InboxId,
    mirror::DelayedItem,
    queue::{Direction, Lane, NewItem, Waiter, Work, WorkKey, fold},
    record::{Observed, RecordId},
    runs::RunId,
};

use crate::{
    Database, Tx,
    db::{
        parts::around_locks,
        text::{Query, entity_of, one_of, seconds, storable, unknown},
    },
};

const FOLD: &str = concat!(
    r#"
INSERT INTO tds_queue_live AS q
  (direction, entity_type, zoho_entity_id, entity_id, priority, version, payload, shape, pushed, recheck, observed_began,
   observed_ended, inbox_event_id, queued_at, run_at)
SELECT CASE WHEN n.zoho_entity_id IS NULL THEN 'outbound' ELSE 'inbound' END, n.entity_type, n.zoho_entity_id, n.entity_id,
       n.priority, n.version, n.payload, n.shape, n.pushed, n.recheck, n.began, n.ended, n.event,
       CASE WHEN n.delay = 0 THEN clock_timestamp() ELSE now() + make_interval(secs => n.delay) END,
       -- Times in a slot are due when it ends.
       CASE WHEN n.slot = 0 THEN now() + make_interval(secs => n.delay)
            ELSE to_timestamp(ceil(extract(epoch FROM now() + make_interval(secs => n.delay))::numeric / n.slot::numeric)
                                * n.slot::numeric) END
  FROM unnest($1::text[], $2::text[], $3::smallint[], $4::timestamptz[], $5::text[], $6::text[], $7::boolean[],
              $8::boolean[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::text[], $13::double precision[],
              $14::double precision[])
    AS n(entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck, began, ended, event, entity_id,
         delay, slot)
 ORDER BY n.entity_type COLLATE "C", n.zoho_entity_id COLLATE "C", n.entity_id COLLATE "C""#,
    include_str!("../../sql/parts/fold_into.sql")
);

const ATTACH: &str = "
INSERT INTO tds_queue_waiters AS w (item_id, cause, cause_id, generation, counted)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[])
ON CONFLICT (item_id, cause, cause_id) DO UPDATE SET generation = GREATEST(w.generation, excluded.generation)
RETURNING w.item_id, w.cause, w.cause_id, w.counted, (w.xmax = 0) AS inserted
";

const WAIT_EVENT: &str = "
UPDATE tds_inbox_events SET open_items = open_items + $2, processed_at = NULL,
  status = CASE WHEN status = 'completed' THEN 'pending' ELSE status END
 WHERE id = $1
";

const WAIT_RUN: &str = "UPDATE tds_sync_runs SET open_items = open_items + $2 WHERE id = $1";

/// The pause between two attempts to enqueue items whose rows another session has locked.
const PAUSE: Duration = Duration::from_millis(200);

/// Work that is about to be enqueued, with one entry per stored key.
#[derive(Default)]
pub(crate) struct Batch(BTreeMap<WorkKey, Entry>);

struct Entry {
    lane: Lane,
    work: Work,
    event: Option<i64>,
    /// See [`DelayedItem`].
    delay: Duration,
    slot: Duration,
}

/// The item and its generation after the fold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) item: i64,
    pub(crate) generation: i64,
}

/// The places of a batch, by stored key.
pub(crate) struct Places(HashMap<WorkKey, Place>);

impl Places {
    /// Returns the place of the item with this key.
    pub(crate) fn of(&self, key: &WorkKey) -> Option<Place> {
        self.0.get(&stored_key(key.clone())).copied()
    }

    /// Returns one waiter for each item.
    pub(crate) fn each_for(&self, waiter: Waiter) -> Vec<NewWaiter> {
        self.0.values().map(|&place| NewWaiter { place, waiter, counted: true }).collect()
    }
}

/// A waiter that is to wait for the end of an item.
pub(crate) struct NewWaiter {
    pub(crate) place: Place,
    pub(crate) waiter: Waiter,
    pub(crate) counted: bool,
}

/// A waiter that waits, or waited, for the end of an item.
pub(crate) struct ItemWaiter {
    pub(crate) item: i64,
    pub(crate) waiter: Waiter,
    pub(crate) counted: bool,
}

impl ItemWaiter {
    /// Reads a row of `item_id, cause, cause_id, counted`.
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id = row.try_get("cause_id")?;
        let waiter = match row.try_get("cause")? {
            "event" => Waiter::Event(InboxId(id)),
            "run" => Waiter::Run(RunId(id)),
            "operator" => Waiter::Operator,
            other => return Err(unknown("cause", other)),
        };
        Ok(Self { item: row.try_get("item_id")?, waiter, counted: row.try_get("counted")? })
    }
}

/// Returns the columns `cause` and `cause_id` of a waiter.
fn cause_of(waiter: Waiter) -> (&'static str, i64) {
    match waiter {
        Waiter::Event(event) => ("event", event.0),
        Waiter::Run(run) => ("run", run.0),
        Waiter::Operator => ("operator", 0),
    }
}

impl Batch {
    /// Adds work. Work for a key that is already in the batch is folded into the earlier work. Callers add the newest
    /// work last.
    pub(crate) fn add(&mut self, key: WorkKey, lane: Lane, work: &Work, event: Option<i64>) {
        self.add_entry(
            key,
            Entry { lane, work: work.clone(), event, delay: Duration::ZERO, slot: Duration::ZERO },
        );
    }

    /// Adds work that is not due at once. Of the work of one key, the earliest counts.
    pub(crate) fn add_later(&mut self, new: DelayedItem) {
        let DelayedItem { item: NewItem { key, lane, work, .. }, delay, slot } = new;
        self.add_entry(key, Entry { lane, work, event: None, delay, slot });
    }

    fn add_entry(&mut self, key: WorkKey, entry: Entry) {
        use std::collections::btree_map::Entry as Place;
        match self.0.entry(stored_key(key)) {
            Place::Vacant(place) => drop(place.insert(entry)),
            Place::Occupied(mut place) => place.get_mut().fold(&entry),
        }
    }

    /// Returns true if the batch has no work.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the batch already has work of the key.
    pub(crate) fn has(&self, key: WorkKey) -> bool {
        self.0.contains_key(&stored_key(key))
    }

    /// Returns the ids of the keys of this direction, and `None` in the places of the other keys.
    fn ids(&self, direction: Direction) -> Vec<Option<&str>> {
        self.0.keys().map(|key| (key.direction == direction).then(|| key.id.as_str())).collect()
    }

    /// Returns a batch with all items of a call.
    fn of(items: &[&NewItem]) -> Self {
        let mut batch = Self::default();
        for item in items {
            let event = if let Waiter::Event(event) = item.waiter { Some(event.0) } else { None };
            batch.add(item.key.clone(), item.lane, &item.work, event);
        }
        batch
    }

    /// Writes the batch. The items stay locked until the transaction ends.
    pub(crate) async fn fold(&self, tx: &mut Tx) -> Result<Places, sqlx::Error> {
        if self.0.is_empty() {
            return Ok(Places(HashMap::new()));
        }
        let events: Vec<Option<i64>> = self.0.values().map(|entry| entry.event).collect();
        let local_ids = self.ids(Direction::Outbound);
        let delays: Vec<f64> = self.0.values().map(|entry| seconds(entry.delay)).collect();
        let slots: Vec<f64> = self.0.values().map(|entry| seconds(entry.slot)).collect();
        let query = self.bind(sqlx::query(FOLD)).bind(events).bind(local_ids).bind(delays).bind(slots);
        let rows = query.fetch_all(tx).await?;
        let place = |row: &PgRow| {
            let place = Place { item: row.try_get("id")?, generation: row.try_get("generation")? };
            Ok((key_of(row)?, place))
        };
        rows.iter().map(place).collect::<Result<_, sqlx::Error>>().map(Places)
    }

    /// Binds ten parameters, from `entity_type` to the end of the observation. The records are in order.
    pub(crate) fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let works = || self.0.values().map(|entry| &entry.work);
        let payloads = || works().map(|work| work.payload.as_ref());
        let observed = || payloads().map(|payload| payload.map(|it| it.observed));
        let began = observed().map(|observed| observed.map(|it| it.interval().began));
        let ended = observed().map(|observed| observed.map(|it| it.interval().ended));
        let pushed = observed().map(|observed| observed.map(|it| matches!(it, Observed::Push(_))));
        let jsons = payloads().map(|payload| payload.map(|it| storable(it.json.as_str())));
        query
            .bind(self.0.keys().map(|key| key.entity.as_str()).collect::<Vec<_>>())
            .bind(self.ids(Direction::Inbound))
            .bind(self.0.values().map(|entry| entry.lane.priority()).collect::<Vec<_>>())
            .bind(works().map(|work| work.version).collect::<Vec<_>>())
            .bind(jsons.collect::<Vec<_>>())
            .bind(payloads().map(|payload| payload.map(|it| it.shape.as_str())).collect::<Vec<_>>())
            .bind(pushed.collect::<Vec<_>>())
            .bind(works().map(|work| work.recheck).collect::<Vec<_>>())
            .bind(began.collect::<Vec<_>>())
            .bind(ended.collect::<Vec<_>>())
    }
}

impl Entry {
    /// Applies the same rule as the SQL statement. See [`fold`] and `tds_fold`.
    fn fold(&mut self, new: &Self) {
        self.lane = self.lane.min(new.lane);
        (self.delay, self.slot) = (self.delay, self.slot).min((new.delay, new.slot));
        let folded = fold(&self.work, &new.work);
        if !folded.keeps_payload_of(&self.work) && (new.event.is_some() || folded.payload.is_some()) {
            self.event = new.event;
        }
        self.work = folded;
    }
}

/// Attaches waiters to their items. Returns those that did not wait for their item before, and those that did.
pub(crate) async fn attach(
    tx: &mut Tx,
    waiters: &[NewWaiter],
) -> Result<(Vec<ItemWaiter>, Vec<ItemWaiter>), sqlx::Error> {
    // A statement cannot change the same row twice.
    let unique: BTreeMap<(i64, (&str, i64)), &NewWaiter> =
        waiters.iter().map(|waiter| ((waiter.place.item, cause_of(waiter.waiter)), waiter)).collect();
    let (mut new, mut known) = (Vec::new(), Vec::new());
    if unique.is_empty() {
        return Ok((new, known));
    }
    let rows = sqlx::query(ATTACH)
        .bind(unique.keys().map(|(item, _)| *item).collect::<Vec<_>>())
        .bind(unique.keys().map(|(_, (cause, _))| *cause).collect::<Vec<_>>())
        .bind(unique.keys().map(|(_, (_, id))| *id).collect::<Vec<_>>())
        .bind(unique.values().map(|waiter| waiter.place.generation).collect::<Vec<_>>())
        .bind(unique.values().map(|waiter| waiter.counted).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    for row in &rows {
        let found = if row.try_get::<bool, _>("inserted")? { &mut new } else { &mut known };
        found.push(ItemWaiter::of(row)?);
    }
    Ok((new, known))
}

/// Folds items into the queue and attaches their waiters. A run does not count the records in `relisted`, because it
/// has listed and counted them before. Returns the waiters that did not wait for their item before.
pub(crate) async fn queue(
    tx: &mut Tx,
    items: &[&NewItem],
    relisted: &HashSet<String>,
) -> Result<Vec<ItemWaiter>, sqlx::Error> {
    let places = Batch::of(items).fold(tx).await?;
    let waiter = |item: &&NewItem| {
        let counted = !relisted.contains(storable(item.key.id.as_str()).as_ref());
        Some(NewWaiter { place: places.of(&item.key)?, waiter: item.waiter, counted })
    };
    let waiters: Vec<NewWaiter> = items.iter().filter_map(waiter).collect();
    attach(tx, &waiters).await.map(|(new, _)| new)
}

/// Enqueues items. Items whose rows are not locked are enqueued at once. The others are retried for at most `patience`,
/// until their locks are released.
pub(crate) async fn enqueue_all(
    database: &Database,
    mut items: Vec<&NewItem>,
    patience: Duration,
) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    loop {
        let parted =
            around_locks(database, items, |database, part| async move { enqueue(&database, &part).await });
        let parted = parted.await?;
        let Some(fault) = parted.fault.filter(|_| !parted.locked.is_empty()) else { return Ok(()) };
        if began.elapsed() >= patience {
            return Err(fault);
        }
        items = parted.locked;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn enqueue(database: &Database, items: &[&NewItem]) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    let mut waiting: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for new in queue(&mut tx, items, &HashSet::new()).await? {
        *waiting.entry(cause_of(new.waiter)).or_default() += 1;
    }
    for ((cause, id), count) in waiting {
        let statement = match cause {
            "event" => WAIT_EVENT,
            "run" => WAIT_RUN,
            // Nothing counts the items of operators.
            _ => continue,
        };
        sqlx::query(statement).bind(id).bind(count).execute(&mut tx).await?;
    }
    tx.commit().await
}

/// Enqueues items without their waiters, except for the items whose rows another session has locked. Returns the fault
/// of the locks.
pub(crate) async fn enqueue_ahead(
    database: &Database,
    items: Vec<&NewItem>,
) -> Result<Option<sqlx::Error>, sqlx::Error> {
    let ahead = |database: Database, part: Vec<&NewItem>| {
        let batch = Batch::of(&part);
        async move {
            let mut tx = database.begin().await?;
            batch.fold(&mut tx).await?;
            tx.commit().await
        }
    };
    around_locks(database, items, ahead).await.map(|parted| parted.fault)
}

/// Returns a key in the form that the queue stores.
pub(crate) fn stored_key(key: WorkKey) -> WorkKey {
    WorkKey { id: RecordId::new(storable(key.id.as_str())), ..key }
}

/// Reads the key of an item.
pub(crate) fn key_of(row: &PgRow) -> Result<WorkKey, sqlx::Error> {
    let direction = one_of(Direction::ALL, Direction::as_str, "direction", row.try_get("direction")?)?;
    let id: String = row.try_get(match direction {
        Direction::Inbound => "zoho_entity_id",
        Direction::Outbound => "entity_id",
    })?;
    Ok(WorkKey { direction, entity: entity_of(row.try_get("entity_type")?)?, id: RecordId::new(id) })
}
