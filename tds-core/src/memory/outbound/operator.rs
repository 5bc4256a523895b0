//! The operators' side of the outbox.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use super::state::{Entry, Kept};
use crate::{
    error::{Error, Result},
    memory::{
        MemoryStore,
        state::State,
        view::{below, page},
    },
    outbound::{
        Conflict, ConflictId, ConflictStatus, EntryStatus, FieldConflict, OutboxEntry, OutboxFilter,
        OutboxId, OutboxOperator, Resolution, Side, Take,
    },
    queue::{Page, WorkKey},
    record::{EntityType, Fields, same_value},
};

#[async_trait]
impl OutboxOperator for MemoryStore {
    async fn entries(
        &self,
        filter: &OutboxFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<OutboxEntry>> {
        let (below, state) = (OutboxId(below(cursor)?), self.state());
        let matches = |entry: &Entry| {
            filter.status.is_none_or(|status| status == entry.status)
                && filter.entity.as_ref().is_none_or(|entity| *entity == entry.key.0)
        };
        let newest_first = state.outbound.entries.range(..below).rev().filter(|(_, entry)| matches(entry));
        Ok(page(newest_first.map(|(id, entry)| (id.0, state.entry_view(*id, entry))), limit))
    }

    async fn entry(&self, id: OutboxId) -> Result<Option<OutboxEntry>> {
        let state = self.state();
        Ok(state.outbound.entries.get(&id).map(|entry| state.entry_view(id, entry)))
    }

    async fn conflicts(
        &self,
        status: Option<ConflictStatus>,
        entity: Option<&EntityType>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Conflict>> {
        let (below, state) = (ConflictId(below(cursor)?), self.state());
        let matches = |conflict: &Conflict| {
            status.is_none_or(|status| status == conflict.status)
                && entity.is_none_or(|entity| *entity == conflict.entity)
        };
        let newest_first = state.outbound.conflicts.range(..below).rev();
        let found = newest_first.filter(|(_, kept)| matches(&kept.shown));
        Ok(page(found.map(|(id, kept)| (id.0, kept.shown.clone())), limit))
    }

    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>> {
        Ok(self.state().outbound.conflicts.get(&id).map(|kept| kept.shown.clone()))
    }

    async fn open_conflicts(&self) -> Result<u64> {
        Ok(self.state().open_conflicts().unsigned_abs())
    }

    async fn resolve(&self, id: ConflictId, resolution: &Resolution) -> Result<Conflict> {
        self.change(|state| state.resolve_conflict(id, resolution))
    }
}

impl State {
    fn entry_view(&self, id: OutboxId, entry: &Entry) -> OutboxEntry {
        let (entity, local_id) = entry.key.clone();
        let link = self.outbound.links.get(&entry.key);
        let key = WorkKey::outbound(entity.clone(), local_id.to_string());
        let carried = entry.relayed && entry.status == EntryStatus::Pending;
        let dead = || self.dead.get(&key).and_then(|dead| dead.last());
        let item = self.live.get(&key).or_else(dead).filter(|_| carried);
        let item = item.and_then(|id| self.items.get(id));
        OutboxEntry {
            id,
            entity,
            local_id,
            remote_id: link.and_then(|link| link.remote_id.clone()).or_else(|| entry.remote_id.clone()),
            operation: entry.operation,
            fields: entry.fields.clone(),
            status: entry.status,
            captured_at: entry.captured_at,
            settled_at: entry.settled_at,
            item: item.map(|item| item.id),
            item_status: item.map(|item| item.status.as_str().to_owned()),
            attempts: item.map_or(0, |item| item.retry_count),
            error: item.and_then(|item| item.error.clone()),
            in_doubt: link.is_some_and(|link| link.in_doubt_since.is_some()),
            differences: entry.differences.clone(),
            note: entry.note.clone(),
        }
    }

    fn resolve_conflict(&mut self, id: ConflictId, resolution: &Resolution) -> Result<Conflict> {
        let kept = self.outbound.conflicts.get(&id);
        let kept = kept.ok_or_else(|| Error::not_found(format!("there is no conflict {id}")))?;
        if !kept.is_open() {
            return Err(Error::conflict(format!("conflict {id} is decided already")));
        }
        let (decided, written) = decide(&kept.shown, resolution)?;
        let key = (kept.shown.entity.clone(), kept.shown.local_id);
        if let Some(row) = self.local_row_mut(&key) {
            row.fields.extend(written);
        }
        let now = self.now.0;
        let parked = self.outbound.entries.values_mut().filter(|entry| entry.conflict == Some(id));
        for entry in parked.filter(|entry| entry.status == EntryStatus::Conflict) {
            entry.status = EntryStatus::Pending;
            entry.relayed = true;
        }
        self.enqueue_push(&key);
        let Some(Kept { shown, decisions }) = self.outbound.conflicts.get_mut(&id) else {
            return Err(Error::not_found(format!("there is no conflict {id}")));
        };
        for field in &mut shown.fields {
            field.winner = decided.get(&field.field).copied();
        }
        *decisions = decisions_of(&shown.fields);
        shown.status = ConflictStatus::Resolved;
        shown.resolved_at = Some(now);
        shown.resolved_by = Some(resolution.by.clone());
        Ok(shown.clone())
    }
}

fn decisions_of(fields: &[FieldConflict]) -> BTreeMap<String, (Value, Side)> {
    let decided = fields.iter().filter_map(|field| Some((field, field.winner?)));
    decided.map(|(field, side)| (field.field.clone(), (field.source.clone(), side))).collect()
}

/// Returns the side that wins each field, and the values to write to the target first.
fn decide(conflict: &Conflict, resolution: &Resolution) -> Result<(BTreeMap<String, Side>, Fields)> {
    let in_conflict = |name: &str| conflict.fields.iter().any(|field| field.field == name);
    if let Some(name) = resolution.fields.keys().find(|name| !in_conflict(name)) {
        return Err(Error::invalid(format!("{name:?} is not in conflict")));
    }
    let (mut sides, mut written) = (BTreeMap::new(), Fields::new());
    for FieldConflict { field, source, target, .. } in &conflict.fields {
        let side = match (resolution.fields.get(field), resolution.take) {
            (Some(value), _) if same_value(value, source) => Side::Source,
            (Some(value), _) if same_value(value, target) => Side::Target,
            (Some(_), _) if field.contains('[') => {
                return Err(Error::invalid(format!(
                    "{field:?} can only take the value of one of the two sides"
                )));
            }
            (Some(value), _) => {
                written.insert(field.clone(), value.clone());
                Side::Target
            }
            (None, Take::Source) => Side::Source,
            (None, Take::Target) => Side::Target,
            (None, Take::Merge) => return Err(Error::invalid(format!("there is no decision on {field:?}"))),
        };
        sides.insert(field.clone(), side);
    }
    Ok((sides, written))
}
