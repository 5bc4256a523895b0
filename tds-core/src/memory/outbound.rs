//! The outbox and the modes in memory.
//!
//! Rows of records that the source has are keyed by their id at the source, as everywhere in this store. Rows without
//! such an id are kept apart until [`Outbox::linked`] names one.

mod erase;
mod link;
mod operator;
mod program;
mod rows;
mod settle;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;

use self::state::Entry;
pub(super) use self::state::{LocalKey, OutboundState, Scope};
use super::{
    MemoryStore,
    state::{MirrorRecord, State},
    view::count,
};
use crate::{
    error::{Error, Result, Retry},
    mirror::MirrorSchema,
    outbound::{
        EntityMode, EntryStatus, Link, ModeChange, Modes, Operation, Outbox, OutboxId, Push, Sending,
        Settlement, Values, forget_decisions, still_pending,
    },
    queue::{Lane, NewItem, Work, WorkKey},
    record::{EntityType, Payload, RecordId, Shape},
};

#[async_trait]
impl Outbox for MemoryStore {
    async fn relay(&self, limit: usize) -> Result<usize> {
        let changes = self.state().relay(limit);
        // Those who wait for work relay as well, so nobody is woken for nothing.
        if changes > 0 {
            self.shared.work.notify_waiters();
        }
        Ok(changes)
    }

    async fn load(&self, schema: &MirrorSchema, local_id: i64) -> Result<Option<Push>> {
        let mut state = self.state();
        state.outbound.see(schema);
        Ok(state.load_push(schema, &(schema.entity.clone(), local_id)))
    }

    async fn sending(&self, push: &Push, sending: &Sending) -> Result<()> {
        let mut state = self.state();
        state.check_epoch(push)?;
        state.note_sending(push, sending);
        Ok(())
    }

    async fn not_created(&self, push: &Push) -> Result<()> {
        let mut state = self.state();
        let link = state.outbound.links.entry(local_key(push)).or_default();
        link.in_doubt_since = None;
        link.sent.clear();
        Ok(())
    }

    async fn linked(&self, push: &Push, id: &RecordId) -> Result<()> {
        self.state().link(&local_key(push), id)
    }

    async fn settle(&self, push: &Push, settlement: &Settlement) -> Result<()> {
        let mut state = self.state();
        state.check_epoch(push)?;
        state.settle_push(push, settlement)
    }

    async fn wait(&self, timeout: Duration) {
        // Returning because of the timeout is no different from returning because of a change.
        let _ = tokio::time::timeout(timeout, self.shared.work.notified()).await;
    }
}

#[async_trait]
impl Modes for MemoryStore {
    async fn modes(&self) -> Result<Vec<EntityMode>> {
        Ok(self.state().outbound.modes.values().cloned().collect())
    }

    async fn set_mode(&self, change: &ModeChange) -> Result<EntityMode> {
        let mut state = self.state();
        let mut mode = state.outbound.mode(&change.entity);
        if let Some(epoch) = change.epoch.filter(|epoch| *epoch != mode.epoch) {
            return Err(Error::conflict(format!(
                "the mode of {} has epoch {}, and the change is based on epoch {epoch}",
                change.entity, mode.epoch
            )));
        }
        let open =
            state.outbound.entries.values().filter(|entry| entry.is_open() && entry.key.0 == change.entity);
        let open = open.count();
        if open > 0 && mode.mode.pushes() && change.mode.is_some_and(|mode| !mode.pushes()) {
            return Err(still_pending(&change.entity, open as u64));
        }
        mode.mode = change.mode.unwrap_or(mode.mode);
        mode.policy = change.policy.unwrap_or(mode.policy);
        if let Some(fields) = &change.fields {
            mode.fields.clone_from(fields);
        }
        mode.epoch += 1;
        mode.changed_at = Some(state.now.0);
        state.outbound.modes.insert(change.entity.clone(), mode.clone());
        Ok(mode)
    }

    async fn pending(&self, entity: &EntityType) -> Result<u64> {
        let state = self.state();
        let open = state.outbound.entries.values().filter(|entry| entry.is_open() && entry.key.0 == *entity);
        Ok(open.count() as u64)
    }
}

pub(super) fn local_key(push: &Push) -> LocalKey {
    (push.entity.clone(), push.local_id)
}

impl State {
    /// Refuses what a push of an earlier epoch does.
    fn check_epoch(&self, push: &Push) -> Result<()> {
        let epoch = self.outbound.mode(&push.entity).epoch;
        if epoch == push.mode.epoch {
            return Ok(());
        }
        let text = format!(
            "the mode of {} was changed: it has epoch {epoch}, and the push was loaded in epoch {}",
            push.entity, push.mode.epoch
        );
        Err(Error::conflict(text).with_retry(Retry::Transient { retry_after: None }))
    }

    fn relay(&mut self, limit: usize) -> usize {
        let waits = |entry: &Entry| !entry.relayed && entry.status == EntryStatus::Pending;
        let entries = self.outbound.entries.iter_mut().filter(|(_, entry)| waits(entry)).take(limit);
        let mut records = BTreeSet::new();
        let mut changes = 0;
        for (_, entry) in entries {
            entry.relayed = true;
            changes += 1;
            records.insert(entry.key.clone());
        }
        for key in &records {
            self.enqueue_push(key);
        }
        changes
    }

    /// Enqueues the push of a record.
    fn enqueue_push(&mut self, (entity, local_id): &LocalKey) {
        let key = WorkKey::outbound(entity.clone(), local_id.to_string());
        self.enqueue(NewItem::new(key, Lane::Outbound, Work::fetch()));
    }

    /// Discards the pending changes whose push an operator discarded.
    pub(super) fn discard_push(&mut self, key: &WorkKey) {
        let Ok(local_id) = key.id.as_str().parse() else { return };
        let local = (key.entity.clone(), local_id);
        let now = self.now.0;
        for entry in self.outbound.entries.values_mut() {
            if entry.key == local && entry.relayed && entry.status == EntryStatus::Pending {
                entry.status = EntryStatus::Discarded;
                entry.settled_at = Some(now);
            }
        }
        self.forget_base(&local);
    }

    /// Forgets the base if nothing of the record is open.
    fn forget_base(&mut self, key: &LocalKey) {
        if self.outbound.open(key).next().is_none()
            && let Some(link) = self.outbound.links.get_mut(key)
        {
            link.earlier.clear();
            link.kept = Values::default();
            link.sent.clear();
        }
    }

    fn load_push(&mut self, schema: &MirrorSchema, key: &LocalKey) -> Option<Push> {
        let open: Vec<(OutboxId, &Entry)> = self.outbound.open(key).collect();
        let newest = open.iter().rev().find(|(_, entry)| entry.status == EntryStatus::Pending)?.1;
        let (operation, changed_at, captured_id) =
            (newest.operation, newest.captured_at, newest.remote_id.clone());
        let changes: Vec<OutboxId> = open.iter().map(|(id, _)| *id).collect();
        let fields = open.iter().try_fold(BTreeSet::new(), |mut all, (_, entry)| {
            all.extend(entry.fields.clone()?);
            Some(all)
        });
        let mut decisions = BTreeMap::new();
        for (_, entry) in &open {
            match entry
                .conflict
                .and_then(|id| self.outbound.conflicts.get(&id))
                .filter(|kept| !kept.is_open())
            {
                Some(kept) => decisions.extend(kept.decisions.clone()),
                None => forget_decisions(&mut decisions, entry.fields.as_ref()),
            }
        }
        let link = self.outbound.links.entry(key.clone()).or_default();
        let link_key = link.key.get_or_insert_with(|| uuid::Uuid::new_v4().to_string()).clone();
        let remote_id = link.remote_id.clone().or(captured_id);
        let (in_doubt_since, sent) = (link.in_doubt_since, link.sent.clone());
        let (earlier, kept) = (link.earlier.clone(), link.kept.clone());
        let record = self.writable_record(schema, key, &link_key);
        let is_gone = self.local_row(key).is_none_or(|row| row.deleted_at.is_some());
        Some(Push {
            entity: key.0.clone(),
            local_id: key.1,
            link: Link { key: link_key, remote_id, in_doubt_since },
            operation: if is_gone { Operation::Delete } else { operation },
            changes,
            fields,
            changed_at,
            record,
            base: self.base(key),
            earlier,
            kept,
            sent,
            mode: self.outbound.mode(&key.0),
            decisions,
            decided: self.outbound.decided(key),
        })
    }

    /// Returns the last common state of a record. There is none before the push has ended that created the record.
    fn base(&self, key: &LocalKey) -> Option<(Payload, Shape)> {
        let link = self.outbound.links.get(key);
        if link.is_some_and(|link| link.sent.iter().any(|sent| sent.creates)) {
            return None;
        }
        self.records.get(&self.remote_key(key)?)?.raw()
    }

    /// Returns the number of conflicts that wait for a person.
    pub(super) fn open_conflicts(&self) -> i64 {
        count(self.outbound.conflicts.values().filter(|kept| kept.is_open()).count())
    }
}

impl MirrorRecord {
    /// Returns what the source sent of the record, and how much of the record it shows.
    pub(super) fn raw(&self) -> Option<(Payload, Shape)> {
        let state = self.state.as_ref()?;
        let shape = if state.detail_hash.is_some() { Shape::Detail } else { Shape::List };
        Some((self.row.as_ref()?.raw.clone(), shape))
    }
}
