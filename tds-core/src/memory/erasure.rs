//! Erasures in memory.

mod places;

use async_trait::async_trait;

use super::{MemoryStore, state::State};
use crate::{
    error::Result,
    history::{Happening, HistoryEntry},
    mirror::MirrorSchema,
    privacy::{ErasedFile, Eraser, Erasure, Screened},
    queue::{ItemId, Waiter},
    record::{EntityType, Origin, Read, RecordId, RecordKey},
};

#[async_trait]
impl Eraser for MemoryStore {
    async fn erase(&self, schema: &MirrorSchema, id: &RecordId, by: &str) -> Result<Option<Erasure>> {
        let mut state = self.state();
        let key = RecordKey::new(schema.entity.clone(), id.clone());
        if !(state.records.contains_key(&key) || state.erasures.contains_key(&key)) {
            return Ok(None);
        }
        let counts = state.erase(schema, &key);
        let erasure = Erasure { key: key.clone(), erased_at: state.now.0, erased_by: by.to_owned(), counts };
        state.erasures.insert(key.clone(), erasure.clone());
        state.note_erasure(key, Happening::Erase, by);
        Ok(Some(erasure))
    }

    async fn allow_return(&self, entity: &EntityType, id: &RecordId, by: &str) -> Result<bool> {
        let mut state = self.state();
        let key = RecordKey::new(entity.clone(), id.clone());
        if state.erasures.remove(&key).is_none() {
            return Ok(false);
        }
        // The record is new to the guard, so that its next read is applied whatever its version is.
        if let Some(record) = state.records.get_mut(&key) {
            record.state = None;
        }
        state.note_erasure(key, Happening::AllowReturn, by);
        Ok(true)
    }

    async fn files(&self, _key: &RecordKey) -> Result<Vec<ErasedFile>> {
        // This store has no images.
        Ok(Vec::new())
    }

    async fn forget_files(&self, _key: &RecordKey) -> Result<()> {
        Ok(())
    }

    async fn erasure(&self, entity: &EntityType, id: &RecordId) -> Result<Option<Erasure>> {
        Ok(self.state().erasures.get(&RecordKey::new(entity.clone(), id.clone())).cloned())
    }
}

impl State {
    /// Returns what may be kept of a read.
    pub(super) fn screen(&self, read: &Read) -> Screened {
        if self.erasures.is_empty() {
            return Screened::Whole;
        }
        let is_erased = |entity: &str, id: &str| {
            self.erasures.keys().any(|key| key.entity.as_str() == entity && key.id.as_str() == id)
        };
        self.persons.screen(read, is_erased)
    }

    /// Blanks the bodies of the events that wait for an item.
    pub(super) fn blank_bodies_of(&mut self, item: ItemId) {
        let waiters = self.items.get(&item).into_iter().flat_map(|item| &item.waiters);
        for waiter in waiters {
            if let Waiter::Event(id) = waiter.waiter
                && let Some(event) = self.events.get_mut(&id)
                && !event.raw_payload.is_empty()
            {
                event.raw_payload.clear();
                event.row.blanked_at = Some(self.now.0);
            }
        }
    }

    fn note_erasure(&mut self, key: RecordKey, happening: Happening, by: &str) {
        let detail = Some(format!("by {by}"));
        let entry = HistoryEntry { detail, ..HistoryEntry::new(self.now.0, happening, Origin::Operator) };
        self.note(key, entry, false);
    }
}
