//! A store in memory, for examples, tests and simulation.
//!
//! The store does everything that the traits promise, except that nothing survives the process. One lock guards the
//! whole state, so every call is one transaction.

#[cfg(feature = "testkit")]
mod controls;
mod erasure;
mod event;
mod findings;
mod history;
mod inbox;
mod item;
mod mirror;
mod outbound;
mod progress;
mod queue;
mod queue_maintenance;
mod queue_operator;
mod run;
mod schedule;
mod settle;
mod shared_state;
mod state;
mod verify;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::Notify;

use self::state::State;
use crate::{
    clock::{Clock, SystemClock},
    guard::SyncState,
    lock::lock,
    mirror::DelayedItem,
    privacy::{Persons, Redaction},
    record::{EntityType, Fields, Payload, RecordId, RecordKey},
};

/// Inbox, queue, outbox, runs, schedules, budgets and mirror in memory. Clones share their contents.
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
    /// The columns of the row.
    pub fields: Fields,
    /// The record as the source sent it. Once the record was read whole, this is the whole record.
    pub raw: Payload,
    /// The time of the last write.
    pub synced_at: OffsetDateTime,
    /// The time at which the record was found to be deleted.
    pub deleted_at: Option<OffsetDateTime>,
}

/// Creates an empty store whose leases and delays follow the clock of the machine.
impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryStore {
    /// Creates an empty store. Leases and delays follow this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default(), work: Notify::new() }) }
    }

    /// Sets what says who a person is: it is removed from documents that name an erased person.
    #[must_use]
    pub fn without_erased(self, persons: Arc<dyn Redaction>) -> Self {
        self.state().persons = Persons::new(persons);
        self
    }

    /// Returns the head row of a record.
    #[must_use]
    pub fn row(&self, entity: &EntityType, id: &RecordId) -> Option<Row> {
        let key = RecordKey::new(entity.clone(), id.clone());
        self.state().records.get(&key)?.row.clone()
    }

    /// Returns all head rows of an entity type, including tombstones.
    #[must_use]
    pub fn rows(&self, entity: &EntityType) -> BTreeMap<RecordId, Row> {
        let state = self.state();
        let of_entity = state.records.iter().filter(|(key, _)| key.entity == *entity);
        of_entity.filter_map(|(key, record)| Some((key.id.clone(), record.row.clone()?))).collect()
    }

    /// Returns the rows of a record in a child table, in order and with the owner column.
    #[must_use]
    pub fn children(&self, table: &str, owner: &RecordId) -> Vec<Fields> {
        self.state().children.get(&(table.to_owned(), owner.clone())).cloned().unwrap_or_default()
    }

    /// Returns the sync state of a record.
    #[must_use]
    pub fn sync_state(&self, key: &RecordKey) -> Option<SyncState> {
        self.state().records.get(key)?.state.clone()
    }

    /// Stores the sync state of a record whose rows are in a mirror outside this store, if it changed, together with
    /// the work that follows from the read. A full sync then finds the record if the list of the source lacks it.
    pub fn remember(&self, key: &RecordKey, next: Option<SyncState>, follow_ups: Vec<DelayedItem>) {
        let mut state = self.state();
        follow_ups.into_iter().for_each(|item| state.place_later(item));
        if let Some(next) = next {
            state.remember(key, next);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.shared.state);
        state.now.0 = self.shared.clock.now();
        state
    }

    /// Makes a change after which there may be new work.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.shared.work.notify_waiters();
        result
    }
}

/// Returns the time that lies `by` after `now`, or the latest possible time.
fn later(now: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by).map_or(now, |by| now.saturating_add(by))
}

/// Returns the time that lies `by` before `now`, or the earliest possible time.
fn earlier(now: OffsetDateTime, by: Duration) -> OffsetDateTime {
    time::Duration::try_from(by).map_or(now, |by| now.saturating_sub(by))
}
