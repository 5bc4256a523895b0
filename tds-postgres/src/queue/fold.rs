//! Adds work to the queue. There is at most one live item per key, and new work is folded into the live item.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;
use tokio::time::Instant;

use tds_core::{
    queue::{Direction, Lane, NewItem, Waiter, Work, WorkKey, fold},
    record::{Observed, RecordId},
};

use crate::{
    Database, Tx,
    db::{
        parts::around_locks,
        text::{entity_of, one_of, storable, unknown},
    },
};

/// The end of an INSERT into `tds_queue_live AS q` that folds new work into the live item of its record.
macro_rules! fold_into {
    () => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/parts/fold_into.sql"))
    };
}
pub(crate) use fold_into;

const FOLD: &str = concat!(
    r#"
INSERT INTO tds_queue_live AS q
  (direction, entity_type, zoho_entity_id, entity_id, priority, version, payload, shape, pushed, recheck, observed_began,
   observed_ended, inbox_event_id)
SELECT CASE WHEN n.zoho_entity_id IS NULL THEN 'outbound' ELSE 'inbound' END, n.entity_type, n.zoho_entity_id, n.entity_id,
       n.priority, n.version, n.payload, n.shape, n.pushed, n.recheck, n.began, n.ended, n.event
  FROM unnest($1::text[], $2::text[], $3::smallint[], $4::timestamptz[], $5::text[], $6::text[], $7::boolean[],
              $8::boolean[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::text[])
    AS n(entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck, began, ended, event, entity_id)
 ORDER BY n.entity_type COLLATE "C", n.zoho_entity_id COLLATE "C", n.entity_id COLLATE "C""#,
    fold_into!()
);

const ATTACH: &str = "
INSERT INTO tds_queue_waiters AS w (item_id, cause, cause_id, generation, counted)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[])
ON CONFLICT (item_id, cause, cause_id) DO UPDATE SET generation = GREATEST(w.generation, excluded.generation)
RETURNING w.cause, w.cause_id, w.counted, (w.xmax = 0) AS inserted
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
}

/// A batch as the parameters of a statement, in the order of records.
pub(crate) struct Columns<'a> {
    entities: Vec<&'a str>,
    ids: Vec<Option<&'a str>>,
    priorities: Vec<i16>,
    versions: Vec<Option<OffsetDateTime>>,
    payloads: Vec<Option<Cow<'a, str>>>,
    shapes: Vec<Option<&'static str>>,
    pushed: Vec<Option<bool>>,
    rechecks: Vec<bool>,
    began: Vec<Option<OffsetDateTime>>,
    ended: Vec<Option<OffsetDateTime>>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let works = || batch.0.values().map(|entry| &entry.work);
        let payloads = || works().map(|work| work.payload.as_ref());
        let observed = || payloads().map(|payload| payload.map(|it| it.observed.interval()));
        Self {
            entities: batch.0.keys().map(|key| key.entity.as_str()).collect(),
            ids: batch.ids(Direction::Inbound),
            priorities: batch.0.values().map(|entry| entry.lane.priority()).collect(),
            versions: works().map(|work| work.version).collect(),
            payloads: payloads().map(|payload| payload.map(|it| storable(it.json.as_str()))).collect(),
            shapes: payloads().map(|payload| payload.map(|it| it.shape.as_str())).collect(),
            pushed: payloads()
                .map(|payload| payload.map(|it| matches!(it.observed, Observed::Push(_))))
                .collect(),
            rechecks: works().map(|work| work.recheck).collect(),
            began: observed().map(|interval| interval.map(|it| it.began)).collect(),
            ended: observed().map(|interval| interval.map(|it| it.ended)).collect(),
        }
    }

    /// Binds ten parameters, from `entity_type` to the end of the observation.
    pub(crate) fn bind(self, query: Query<'a>) -> Query<'a> {
        query
            .bind(self.entities)
            .bind(self.ids)
            .bind(self.priorities)
            .bind(self.versions)
            .bind(self.payloads)
            .bind(self.shapes)
            .bind(self.pushed)
            .bind(self.rechecks)
            .bind(self.began)
            .bind(self.ended)
    }
}

/// A query whose parameters are being bound.
pub(crate) type Query<'a> = sqlx::query::Query<'a, sqlx::Postgres, sqlx::postgres::PgArguments>;

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
}

/// An event or a run that waits for the end of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Event(i64),
    Run(i64),
}

impl Cause {
    /// Reads the columns `cause` and `cause_id`.
    pub(crate) fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id = row.try_get("cause_id")?;
        match row.try_get("cause")? {
            "event" => Ok(Self::Event(id)),
            "run" => Ok(Self::Run(id)),
            other => Err(unknown("cause", other)),
        }
    }

    /// Returns the value of the column `cause`.
    fn kind(self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Run(_) => "run",
        }
    }

    /// Returns the value of the column `cause_id`.
    fn id(self) -> i64 {
        let (Self::Event(id) | Self::Run(id)) = self;
        id
    }
}

/// One row for [`attach`].
pub(crate) struct WaiterEntry {
    pub(crate) place: Place,
    pub(crate) cause: Cause,
    pub(crate) counted: bool,
}

impl WaiterEntry {
    /// Returns the row of a waiter. `None` for an operator, who does not wait.
    pub(crate) fn of(waiter: Waiter, place: Place, counted: bool) -> Option<Self> {
        let cause = match waiter {
            Waiter::Event(event) => Cause::Event(event.0),
            Waiter::Run(run) => Cause::Run(run.0),
            Waiter::Operator => return None,
        };
        Some(Self { place, cause, counted })
    }
}

/// The result of [`attach`] for one waiter.
pub(crate) struct Attached {
    pub(crate) cause: Cause,
    pub(crate) counted: bool,
    /// False where the cause already waited for the item.
    pub(crate) inserted: bool,
}

impl Batch {
    /// Adds work. Work for a key that is already in the batch is folded into the earlier work. Callers add the newest
    /// work last.
    pub(crate) fn add(&mut self, key: WorkKey, lane: Lane, work: &Work, event: Option<i64>) {
        use std::collections::btree_map::Entry as Slot;
        match self.0.entry(stored_key(key)) {
            Slot::Vacant(slot) => {
                slot.insert(Entry { lane, work: work.clone(), event });
            }
            Slot::Occupied(mut slot) => slot.get_mut().fold(lane, work, event),
        }
    }

    /// Returns true where the batch already has work of the key.
    pub(crate) fn has(&self, key: WorkKey) -> bool {
        self.0.contains_key(&stored_key(key))
    }

    /// Returns the ids of the keys of this direction, and `None` in the places of the other keys.
    fn ids(&self, direction: Direction) -> Vec<Option<&str>> {
        self.0.keys().map(|key| (key.direction == direction).then(|| key.id.as_str())).collect()
    }

    /// Returns a batch with all items of a call.
    pub(crate) fn of<'a>(items: impl IntoIterator<Item = &'a NewItem>) -> Self {
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
        let columns = Columns::of(self);
        let events: Vec<Option<i64>> = self.0.values().map(|entry| entry.event).collect();
        let local_ids = self.ids(Direction::Outbound);
        let rows = columns.bind(sqlx::query(FOLD)).bind(events).bind(local_ids).fetch_all(tx).await?;
        let place = |row: &PgRow| {
            let place = Place { item: row.try_get("id")?, generation: row.try_get("generation")? };
            Ok((key_of(row)?, place))
        };
        rows.iter().map(place).collect::<Result<_, sqlx::Error>>().map(Places)
    }
}

impl Entry {
    /// Applies the same rule as the SQL statement. See [`fold`] and `tds_fold`.
    fn fold(&mut self, lane: Lane, work: &Work, event: Option<i64>) {
        self.lane = self.lane.min(lane);
        let folded = fold(&self.work, work);
        if !folded.keeps_payload_of(&self.work) && (event.is_some() || folded.payload.is_some()) {
            self.event = event;
        }
        self.work = folded;
    }
}

/// Attaches waiters to their items.
pub(crate) async fn attach(tx: &mut Tx, waiters: &[WaiterEntry]) -> Result<Vec<Attached>, sqlx::Error> {
    // A statement cannot change the same row twice.
    let unique: BTreeMap<(i64, Cause), &WaiterEntry> =
        waiters.iter().map(|waiter| ((waiter.place.item, waiter.cause), waiter)).collect();
    if unique.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(ATTACH)
        .bind(unique.keys().map(|(item, _)| *item).collect::<Vec<_>>())
        .bind(unique.keys().map(|(_, cause)| cause.kind()).collect::<Vec<_>>())
        .bind(unique.keys().map(|(_, cause)| cause.id()).collect::<Vec<_>>())
        .bind(unique.values().map(|waiter| waiter.place.generation).collect::<Vec<_>>())
        .bind(unique.values().map(|waiter| waiter.counted).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    let attached = |row: &PgRow| {
        Ok(Attached {
            cause: Cause::of(row)?,
            counted: row.try_get("counted")?,
            inserted: row.try_get("inserted")?,
        })
    };
    rows.iter().map(attached).collect()
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
        let slice = items.as_slice();
        let parted = around_locks(database, slice.len(), |database, range| async move {
            enqueue(&database, slice.get(range).unwrap_or_default()).await
        });
        let parted = parted.await?;
        let Some(fault) = parted.fault.filter(|_| !parted.locked.is_empty()) else { return Ok(()) };
        if began.elapsed() >= patience {
            return Err(fault);
        }
        items = parted.locked.iter().filter_map(|index| slice.get(*index).copied()).collect();
        tokio::time::sleep(PAUSE).await;
    }
}

async fn enqueue(database: &Database, items: &[&NewItem]) -> Result<(), sqlx::Error> {
    let mut tx = database.begin().await?;
    let places = Batch::of(items.iter().copied()).fold(&mut tx).await?;
    let waiters: Vec<WaiterEntry> =
        items.iter().filter_map(|item| WaiterEntry::of(item.waiter, places.of(&item.key)?, true)).collect();
    let attached = attach(&mut tx, &waiters).await?;
    let mut waiting: BTreeMap<Cause, i64> = BTreeMap::new();
    for new in attached.iter().filter(|attached| attached.inserted) {
        *waiting.entry(new.cause).or_default() += 1;
    }
    for (cause, count) in waiting {
        let statement = match cause {
            Cause::Event(_) => WAIT_EVENT,
            Cause::Run(_) => WAIT_RUN,
        };
        sqlx::query(statement).bind(cause.id()).bind(count).execute(&mut tx).await?;
    }
    tx.commit().await
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
