//! Erasures in memory.

mod places;

use async_trait::async_trait;

use super::{MemoryStore, Row, state::State};
use crate::{
    error::Result,
    history::{Happening, HistoryEntry},
    mirror::MirrorSchema,
    privacy::{ErasedCounts, ErasedFile, Eraser, Erasure, PARTIES, Screened, is_unmistakable, names},
    queue::{ItemId, Waiter},
    record::{Content, EntityType, Origin, Read, RecordId, RecordKey},
};

#[async_trait]
impl Eraser for MemoryStore {
    async fn erase(&self, schema: &MirrorSchema, id: &RecordId, by: &str) -> Result<Option<Erasure>> {
        let mut state = self.state();
        let key = RecordKey::new(schema.entity.clone(), id.clone());
        let is_known = state.records.contains_key(&key) || state.erasures.contains_key(&key);
        if !is_known && !is_unmistakable(id) && !state.is_party(&key) {
            return Ok(None);
        }
        let counts = state.erase(schema, &key);
        if !is_known && counts == ErasedCounts::default() {
            return Ok(None);
        }
        let erasure = Erasure { key: key.clone(), erased_at: state.now.0, erased_by: by.to_owned(), counts };
        let noted = state.erasures.entry(key.clone());
        noted.and_modify(|first| first.counts = first.counts + counts).or_insert_with(|| erasure.clone());
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
        state.forget_contents(&key);
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

    /// Blanks the bodies of the events that brought a read of an erased record, or of a document of an erased person. The
    /// source no longer says whom a record names that it no longer has: its row and the bodies themselves do.
    pub(super) fn blank_bodies_of(&mut self, read: &Read, screened: &Screened) {
        let Some(cause) = read.cause.filter(|_| !self.erasures.is_empty()) else { return };
        let is_gone = read.content == Content::Absent;
        if *screened != Screened::Whole || is_gone && self.erasures_of(&read.key).next().is_some() {
            self.blank_waiting(cause.item, |_| true);
        } else if is_gone {
            let ids: Vec<RecordId> = self.erasures.keys().map(|key| key.id.clone()).collect();
            self.blank_waiting(cause.item, |body| ids.iter().any(|id| names(body, id.as_str())));
        }
    }

    /// Iterates over the erasures of a record and of the persons that its row names.
    pub(super) fn erasures_of<'a>(&'a self, key: &'a RecordKey) -> impl Iterator<Item = &'a Erasure> {
        let row = self.records.get(key).and_then(|record| record.row.as_ref());
        let parties = PARTIES.into_iter().filter_map(move |(column, entity)| {
            let id = row?.fields.get(column)?.as_str()?;
            Some(RecordKey::new(EntityType::from_static(entity), RecordId::new(id)))
        });
        parties.chain([key.clone()]).filter_map(|key| self.erasures.get(&key))
    }

    /// Returns true if the row of a document names the record.
    fn is_party(&self, key: &RecordKey) -> bool {
        let columns = PARTIES.iter().filter(|(_, entity)| *entity == key.entity.as_str());
        let rows = || self.records.values().filter_map(|record| record.row.as_ref());
        let names = |column: &str, row: &Row| row.fields.get(column).is_some_and(|id| id == key.id.as_str());
        columns.into_iter().any(|(column, _)| rows().any(|row| names(column, row)))
    }

    /// Blanks the bodies that name an erased record. Returns their number.
    pub(super) fn blank_named(&mut self) -> u64 {
        let mut count = 0;
        for event in self.events.values_mut() {
            let is_named = |key: &RecordKey| names(&event.raw_payload, key.id.as_str());
            if self.erasures.keys().any(is_named) {
                event.raw_payload.clear();
                event.row.blanked_at = Some(self.now.0);
                event.row.error_message = None;
                count += 1;
            }
        }
        count
    }

    fn blank_waiting(&mut self, item: ItemId, is_personal: impl Fn(&[u8]) -> bool) {
        let waiters = self.items.get(&item).into_iter().flat_map(|item| &item.waiters);
        for waiter in waiters {
            if let Waiter::Event(id) = waiter.waiter
                && let Some(event) = self.events.get_mut(&id)
                && !event.raw_payload.is_empty()
                && is_personal(&event.raw_payload)
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
