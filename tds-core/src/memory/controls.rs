//! The controls with which tests act on the store from outside.

use time::OffsetDateTime;

use super::{MemoryStore, Row, state::MirrorRecord};
use crate::{
    queue::{ItemId, Waiter},
    record::{ContentHash, EntityType, Fields, Payload, RecordId, RecordKey},
};

impl MemoryStore {
    /// Changes a column of an existing head row, as another program would.
    pub fn edit(&self, entity: &EntityType, id: &RecordId, column: &str, value: serde_json::Value) {
        let key = RecordKey::new(entity.clone(), id.clone());
        if let Some(row) = self.state().records.get_mut(&key).and_then(|known| known.row.as_mut()) {
            row.fields.insert(column.to_owned(), value);
        }
    }

    /// Inserts or restores a head row without the sync, as another program would. The store knows nothing of the record.
    pub fn plant(&self, entity: &EntityType, id: &RecordId, fields: Fields) {
        let (mut state, key) = (self.state(), RecordKey::new(entity.clone(), id.clone()));
        let (synced_at, raw) = (state.now.0, Payload::new("{}"));
        let row = Row { fields, raw, synced_at, deleted_at: None };
        let new = MirrorRecord { state: None, first_seen_at: synced_at, row: None };
        state.records.entry(key).or_insert(new).row = Some(row);
    }

    /// Deletes the head row of a record, as another program would. The sync state stays.
    pub fn uproot(&self, entity: &EntityType, id: &RecordId) {
        let key = RecordKey::new(entity.clone(), id.clone());
        if let Some(known) = self.state().records.get_mut(&key) {
            known.row = None;
        }
    }

    /// Makes a head row a tombstone, or restores it, as another program would.
    pub fn bury(&self, entity: &EntityType, id: &RecordId, is_deleted: bool) {
        let (mut state, key) = (self.state(), RecordKey::new(entity.clone(), id.clone()));
        let now = state.now.0;
        if let Some(row) = state.records.get_mut(&key).and_then(|known| known.row.as_mut()) {
            row.deleted_at = is_deleted.then_some(now);
        }
    }

    /// Replaces the child rows of a record, as another program would.
    pub fn rewrite(&self, table: &str, owner: &RecordId, rows: Vec<Fields>) {
        self.state().children.insert((table.to_owned(), owner.clone()), rows);
    }

    /// Makes the target have an earlier version of a record, as a lost update would.
    pub fn set_back(&self, entity: &EntityType, id: &RecordId, version: OffsetDateTime) {
        let key = RecordKey::new(entity.clone(), id.clone());
        if let Some(known) = self.state().records.get_mut(&key).and_then(|known| known.state.as_mut()) {
            known.version = Some(version);
            known.detail_version = known.detail_version.map(|_| version);
            (known.list_hash, known.detail_hash) =
                (None, known.detail_hash.take().map(|_| ContentHash::of_bytes(b"")));
        }
    }

    /// Makes every later write of this record fail, as a violated constraint would.
    pub fn refuse(&self, entity: &EntityType, id: &RecordId) {
        self.state().refused.insert(RecordKey::new(entity.clone(), id.clone()));
    }

    /// Returns the waiters of an item, each with the generation that contains its changes.
    #[must_use]
    pub fn waiting(&self, id: ItemId) -> Vec<(Waiter, i64)> {
        let state = self.state();
        let waiters = state.items.get(&id).map(|item| item.waiters.as_slice()).unwrap_or_default();
        waiters.iter().map(|entry| (entry.waiter, entry.generation)).collect()
    }

    /// Removes a waiter from an item without notifying it, as a faulty store would.
    pub fn lose_waiter(&self, id: ItemId, waiter: Waiter) {
        self.state().forget_waiter(id, waiter);
    }
}
