//! The store in memory: for examples, tests and simulation.
//!
//! It does everything that the traits promise, except that nothing survives the process. One lock guards
//! all of it, so every call is one transaction.

mod event;
mod inbox;
mod item;
mod ledger;
mod mirror;
mod queue;
mod queue_operator;
mod run;
mod schedule;
mod settle;
mod shared_state;
mod state;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::Notify;

use self::state::State;
use crate::{
    clock::Clock,
    queue::{ItemId, Waiter},
    record::{EntityType, Fields, Payload, RecordId, RecordKey},
};

/// Inbox, queue, runs, schedules, budgets and mirror in memory. Clones share their contents.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    work: Notify,
}

/// A head row of the mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its columns.
    pub fields: Fields,
    /// The record as the source sent it, whole where it was ever read whole.
    pub raw: Payload,
    /// When it was last written.
    pub synced_at: OffsetDateTime,
    /// When it was found to be gone.
    pub deleted_at: Option<OffsetDateTime>,
}

impl MemoryStore {
    /// An empty store; leases and delays follow this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default(), work: Notify::new() }) }
    }

    /// The head row of a record.
    #[must_use]
    pub fn row(&self, entity: &EntityType, id: &RecordId) -> Option<Row> {
        let key = RecordKey::new(entity.clone(), id.clone());
        self.state().records.get(&key)?.row.clone()
    }

    /// All head rows of an entity type, tombstones too.
    #[must_use]
    pub fn rows(&self, entity: &EntityType) -> BTreeMap<RecordId, Row> {
        let state = self.state();
        let of_entity = state.records.iter().filter(|(key, _)| key.entity == *entity);
        of_entity.filter_map(|(key, record)| Some((key.id.clone(), record.row.clone()?))).collect()
    }

    /// A record's rows in a child table, in order, with the owner column.
    #[must_use]
    pub fn children(&self, table: &str, owner: &RecordId) -> Vec<Fields> {
        self.state().children.get(&(table.to_owned(), owner.clone())).cloned().unwrap_or_default()
    }

    /// Changes a column of a head row that is there, as somebody else would.
    pub fn edit(&self, entity: &EntityType, id: &RecordId, column: &str, value: serde_json::Value) {
        let key = RecordKey::new(entity.clone(), id.clone());
        if let Some(row) = self.state().records.get_mut(&key).and_then(|known| known.row.as_mut()) {
            row.fields.insert(column.to_owned(), value);
        }
    }

    /// Lets every write of this record fail from now on, as a broken constraint would.
    pub fn refuse(&self, entity: &EntityType, id: &RecordId) {
        self.state().refused.insert(RecordKey::new(entity.clone(), id.clone()));
    }

    /// Who waits for an item, with the generation that shows their news.
    #[must_use]
    pub fn waiting(&self, id: ItemId) -> Vec<(Waiter, i64)> {
        let state = self.state();
        let waiters = state.items.get(&id).map(|item| item.waiters.as_slice()).unwrap_or_default();
        waiters.iter().map(|entry| (entry.waiter, entry.generation)).collect()
    }

    /// Forgets that somebody waits for an item, and tells him nothing, as a broken store would.
    pub fn lose_waiter(&self, id: ItemId, waiter: Waiter) {
        self.state().forget_waiter(id, waiter);
    }

    fn now(&self) -> OffsetDateTime {
        self.shared.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug of this module; the contents are still the best there is.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce_work(&self) {
        self.shared.work.notify_waiters();
    }
}

/// A point in time this much later, or the end of time.
fn later(now: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by).map_or(now, |by| now.saturating_add(by))
}

/// A point in time this much earlier, or the beginning of time.
fn earlier(now: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by).map_or(now, |by| now.saturating_sub(by))
}
