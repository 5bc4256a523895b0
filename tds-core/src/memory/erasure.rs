//! Erasures in memory.

mod places;

use async_trait::async_trait;

use super::{MemoryStore, Row, state::State};
use crate::{
    error::Result,
    history::{Happening, HistoryEntry},
    inbox::InboxId,
    mirror::MirrorSchema,
    privacy::{ErasedCounts, ErasedFile, Eraser, Erasure, PARTIES, Screened, is_unmistakable, names},
    queue::{ItemId, Waiter},
    record::{Content, EntityType, Origin, Read, RecordId, RecordKey},
};

#[async_trait]
impl Eraser for MemoryStore {
    async fn erase(&self, schemas: &[&MirrorSchema], id: &RecordId, by: &str) -> Result<Option<Erasure>> {
        let mut state = self.state();
        let key = |schema: &MirrorSchema| RecordKey::new(schema.entity.clone(), id.clone());
        let keys: Vec<RecordKey> = schemas.iter().map(|schema| key(schema)).collect();
        let is_known =
            keys.iter().any(|key| state.records.contains_key(key) || state.erasures.contains_key(key));
        if !is_known && !is_unmistakable(id) && !keys.iter().any(|key| state.is_party(key)) {
            return Ok(None);
        }
        let mut counts = ErasedCounts::default();
        for schema in schemas {
            counts = counts + state.erase(schema, &key(schema));
        }
        if !is_known && counts == ErasedCounts::default() {
            return Ok(None);
        }
        let (erased_at, erased_by) = (state.now.0, by.to_owned());
        for key in &keys {
            let erasure = Erasure { key: key.clone(), erased_at, erased_by: erased_by.clone(), counts };
            let noted = state.erasures.entry(key.clone());
            noted.and_modify(|first| first.counts = first.counts + counts).or_insert(erasure);
            state.note_erasure(key.clone(), Happening::Erase, by);
        }
        Ok(keys.into_iter().next().map(|key| Erasure { key, erased_at, erased_by, counts }))
    }

    async fn allow_return(&self, entities: &[EntityType], id: &RecordId, by: &str) -> Result<bool> {
        let mut state = self.state();
        let mut is_undone = false;
        for entity in entities {
            let key = RecordKey::new(entity.clone(), id.clone());
            if state.erasures.remove(&key).is_none() {
                continue;
            }
            is_undone = true;
            // The record is new to the guard, so that its next read is applied whatever its version is.
            if let Some(record) = state.records.get_mut(&key) {
                record.state = None;
            }
            state.forget_contents(&key);
            state.note_erasure(key, Happening::AllowReturn, by);
        }
        Ok(is_undone)
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

    /// Blanks the bodies of the events that brought a read of an erased record, or of a document of an erased person, and
    /// other bodies if they name an erased record. The source no longer says whom a record names that it no longer has: its
    /// row does.
    pub(super) fn blank_bodies_of(&mut self, read: &Read, screened: &Screened) {
        let Some(cause) = read.cause.filter(|_| !self.erasures.is_empty()) else { return };
        let is_gone = read.content == Content::Absent;
        if *screened != Screened::Whole || is_gone && self.erasures_of(&read.key).next().is_some() {
            self.blank_waiting(cause.item, |_| true);
        } else {
            self.blank_named_of(cause.item);
        }
    }

    /// Blanks the bodies of the events that wait for an item, if they name an erased record.
    pub(super) fn blank_named_of(&mut self, item: ItemId) {
        let ids = self.erased_ids();
        self.blank_waiting(item, |body| ids.iter().any(|id| names(body, id.as_str())));
    }

    fn erased_ids(&self) -> Vec<RecordId> {
        self.erasures.keys().map(|key| key.id.clone()).collect()
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

    /// Blanks the bodies that name an erased record, of one event or of all. Returns their number.
    pub(super) fn blank_named(&mut self, of: Option<InboxId>) -> u64 {
        let ids = self.erased_ids();
        if ids.is_empty() {
            return 0;
        }
        let mut count = 0;
        for (_, event) in self.events.iter_mut().filter(|(id, _)| of.is_none_or(|of| of == **id)) {
            if ids.iter().any(|id| names(&event.raw_payload, id.as_str())) {
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
