//! The controls with which tests act on the store from outside.

use super::MemoryStore;
use crate::{
    queue::{ItemId, Waiter},
    record::{EntityType, RecordId, RecordKey},
};

impl MemoryStore {
    /// Changes a column of an existing head row, as another program would.
    pub fn edit(&self, entity: &EntityType, id: &RecordId, column: &str, value: serde_json::Value) {
        let key = RecordKey::new(entity.clone(), id.clone());
        if let Some(row) = self.state().records.get_mut(&key).and_then(|known| known.row.as_mut()) {
            row.fields.insert(column.to_owned(), value);
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
