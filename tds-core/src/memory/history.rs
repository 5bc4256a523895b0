//! The histories of records in memory.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{Decided, Event, Item, State},
};
use crate::{
    error::Result,
    history::{Happening, History, HistoryEntry, HistoryWindow, KnownRecord, RecordHistory},
    inbox::InboxId,
    mirror::MirrorSchema,
    queue::{AttemptResult, Direction, ItemId, ItemStatus},
    record::{EntityType, Fields, Origin, RecordId, RecordKey},
    runs::RunType,
};

#[async_trait]
impl RecordHistory for MemoryStore {
    async fn history(
        &self,
        schema: &MirrorSchema,
        id: &RecordId,
        addresses: &[EntityType],
        window: &HistoryWindow,
    ) -> Result<Option<History>> {
        let state = self.state();
        let key = RecordKey::new(schema.entity.clone(), id.clone());
        let mut entries: Vec<HistoryEntry> = state.judged(&key).collect();
        entries.extend(state.received(&key, addresses));
        entries.extend(state.worked(&key));
        entries.sort_by_key(|entry| entry.at);
        let known = state.records.get(&key);
        if known.is_none() && entries.is_empty() {
            return Ok(None);
        }
        entries.retain(|entry| window.before.is_none_or(|before| entry.at < before));
        let older = entries.len().saturating_sub(window.limit);
        let row = known.and_then(|known| known.row.as_ref());
        let record = KnownRecord {
            key,
            local_id: None,
            state: known.and_then(|known| known.state.clone()),
            first_seen_at: known.map(|known| known.first_seen_at),
            deleted_at: row.and_then(|row| row.deleted_at),
            row: row.map(|row| simple(&row.fields)),
        };
        Ok(Some(History { record, entries: entries.split_off(older), has_older: older > 0 }))
    }
}

impl State {
    /// Keeps an entry of a history.
    pub(super) fn note(&mut self, key: RecordKey, entry: HistoryEntry, by_run: bool) {
        self.decisions.entry(key).or_default().push(Decided { entry, by_run });
    }

    /// Keeps what an operator did with an item of inbound work.
    pub(super) fn note_item(&mut self, id: ItemId, happening: Happening) {
        let Some(item) = self.items.get(&id).filter(|item| item.key.direction == Direction::Inbound) else {
            return;
        };
        let key = RecordKey::new(item.key.entity.clone(), item.key.id.clone());
        let entry = HistoryEntry {
            item: Some(id),
            inbox_event: item.source_event,
            ..HistoryEntry::new(self.now.0, happening, Origin::Operator)
        };
        self.note(key, entry, false);
    }

    /// Keeps that an event came again, or that an operator has the event processed again.
    pub(super) fn note_event(
        &mut self,
        id: InboxId,
        keys: &[RecordKey],
        happening: Happening,
        origin: Origin,
    ) {
        for key in keys {
            let entry =
                HistoryEntry { inbox_event: Some(id), ..HistoryEntry::new(self.now.0, happening, origin) };
            self.note(key.clone(), entry, false);
        }
    }

    fn judged(&self, key: &RecordKey) -> impl Iterator<Item = HistoryEntry> {
        let decided = self.decisions.get(key).map(Vec::as_slice).unwrap_or_default();
        decided.iter().map(|decided| {
            let mut entry = decided.entry.clone();
            let verifies = entry.origin == Origin::Verify;
            let listed = self.runs.values().rev().find(|run| {
                decided.by_run
                    && run.row.entity_type == key.entity
                    && (run.row.run_type == RunType::Verify) == verifies
                    && run.row.started_at.is_some_and(|at| at <= entry.at)
                    && run.row.completed_at.is_none_or(|at| at >= entry.at)
            });
            entry.run = listed.map(|run| run.row.id);
            entry
        })
    }

    fn received(&self, key: &RecordKey, addresses: &[EntityType]) -> impl Iterator<Item = HistoryEntry> {
        let is_about = move |event: &&Event| {
            addresses.contains(&event.row.entity_type)
                && (event.records.contains(&key.id)
                    || event.row.entity_id.as_deref() == Some(key.id.as_str()))
        };
        self.events.values().filter(is_about).map(|event| HistoryEntry {
            outcome: event.row.outcome,
            inbox_event: Some(event.row.id),
            detail: event.row.error_message.clone(),
            ..HistoryEntry::new(event.row.received_at, Happening::Received, Origin::Webhook)
        })
    }

    fn worked(&self, key: &RecordKey) -> impl Iterator<Item = HistoryEntry> {
        let is_of = |item: &&Item| {
            item.key.direction == Direction::Inbound && item.key.entity == key.entity && item.key.id == key.id
        };
        self.items.values().filter(is_of).flat_map(|item| {
            let entry = |at, happening, detail: Option<String>| HistoryEntry {
                inbox_event: item.source_event,
                item: Some(item.id),
                detail,
                ..HistoryEntry::new(at, happening, Origin::from(item.lane))
            };
            let failed = item.attempts.iter().filter(|attempt| attempt.result != AttemptResult::Completed);
            let attempts = failed.map(move |attempt| {
                let is_last = attempt.result == AttemptResult::DeadLetter;
                let happening = if is_last { Happening::DeadLetter } else { Happening::Attempt };
                entry(attempt.ended_at, happening, attempt.error.clone())
            });
            let waits = !matches!(item.status, ItemStatus::Completed | ItemStatus::DeadLetter);
            let waiting = waits.then(|| entry(item.queued_at, Happening::Waiting, item.error.clone()));
            attempts.chain(waiting).collect::<Vec<_>>()
        })
    }
}

/// Returns the columns with simple values.
fn simple(fields: &Fields) -> Fields {
    let is_simple = |value: &serde_json::Value| !(value.is_null() || value.is_object() || value.is_array());
    fields
        .iter()
        .filter(|(_, value)| is_simple(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
