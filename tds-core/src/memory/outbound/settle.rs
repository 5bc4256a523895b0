//! The end of a push.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{
    local_key,
    state::{Kept, LocalKey, POLICY},
};
use crate::{
    error::Result,
    memory::state::State,
    outbound::{
        Conflict, ConflictId, ConflictStatus, Earlier, EntryStatus, FieldConflict, OutboxId, PRESENCE, Push,
        Sending, Sent, Settled, Settlement, overtaken,
    },
    record::{ContentHash, same_value},
};

impl Kept {
    /// Returns true if a person has to decide.
    pub(super) fn is_open(&self) -> bool {
        self.shown.status == ConflictStatus::Open
    }

    fn decided(&mut self, now: OffsetDateTime) {
        self.shown.status = ConflictStatus::Resolved;
        self.shown.resolved_at = Some(now);
        self.shown.resolved_by = Some(POLICY.to_owned());
    }
}

impl State {
    pub(super) fn settle_push(&mut self, push: &Push, settlement: &Settlement) -> Result<()> {
        let key = local_key(push);
        let own: Vec<OutboxId> =
            self.outbound.open(&key).map(|(id, _)| id).filter(|id| push.changes.contains(id)).collect();
        if own.is_empty() {
            return Ok(());
        }
        let is_other = settlement.accepted.is_some() && settlement.accepted != self.accepted(&key);
        if is_other || self.outbound.decided(&key) != push.decided {
            return Err(overtaken(push));
        }
        let withheld = self.take(push, settlement);
        if settlement.settled != Settled::Parked {
            self.close(&key);
        }
        let conflict = match settlement.settled {
            // Nothing was written anywhere, so nothing was decided.
            Settled::Shadow => None,
            Settled::Parked => Some(self.keep_open(push, &settlement.conflicts)),
            Settled::Pushed | Settled::Unchanged => self.keep_decided(push, &settlement.conflicts),
        };
        let now = self.now.0;
        for id in &own {
            let Some(entry) = self.outbound.entries.get_mut(id) else { continue };
            entry.status = match settlement.settled {
                Settled::Pushed => EntryStatus::Pushed,
                Settled::Unchanged => EntryStatus::Unchanged,
                Settled::Shadow => EntryStatus::Shadow,
                Settled::Parked => EntryStatus::Conflict,
            };
            entry.settled_at = (settlement.settled != Settled::Parked).then_some(now);
            entry.differences.clone_from(&settlement.differences);
            entry.note.clone_from(&settlement.note);
            entry.conflict = conflict.or(entry.conflict);
        }
        let ends = settlement.settled != Settled::Parked;
        let later = self.outbound.open(&key).filter(|(id, _)| !own.contains(id));
        let later = later.map(|(_, entry)| entry).try_fold(BTreeSet::new(), |mut all, entry| {
            all.extend(entry.fields.clone()?);
            Some(all)
        });
        if let Some(link) = self.outbound.links.get_mut(&key).filter(|_| ends) {
            // What the mirror has accepted last is the base.
            let is_kept = |name: &str| withheld.contains(name) && push.is_about(name);
            link.earlier = Earlier::after(&link.earlier, push, later.as_ref());
            link.kept = settlement.before.clone().only(is_kept);
            link.sent = Sent::about(&link.sent, is_kept);
        }
        Ok(())
    }

    /// Returns what the mirror has accepted last of a record.
    fn accepted(&self, key: &LocalKey) -> Option<ContentHash> {
        self.records.get(&self.remote_key(key)?)?.state.as_ref()?.detail_hash.clone()
    }

    /// Writes what the source won, except where a later change was captured. Returns the columns and child tables that
    /// were not written.
    fn take(&mut self, push: &Push, settlement: &Settlement) -> BTreeSet<String> {
        let key = local_key(push);
        let is_free = |state: &Self, name: &str| !state.outbound.is_changed_beside(&key, &push.changes, name);
        let mut withheld = BTreeSet::new();
        for (column, value) in &settlement.take {
            if !is_free(self, column) {
                withheld.insert(column.clone());
            } else if column == PRESENCE {
                self.restore(&key);
            } else if let Some(row) = self.local_row_mut(&key) {
                row.fields.insert(column.clone(), value.clone());
            }
        }
        for (table, rows) in &settlement.take_rows {
            if is_free(self, table) {
                self.set_local_rows(&key, table, rows.clone());
            } else {
                withheld.insert(table.clone());
            }
        }
        withheld
    }

    /// Makes a removed row live again, or has it written anew by the next read.
    fn restore(&mut self, key: &LocalKey) {
        if let Some(row) = self.local_row_mut(key) {
            row.deleted_at = None;
        } else if let Some(known) = self.remote_key(key).and_then(|remote| self.records.get_mut(&remote)) {
            known.state = None;
        }
    }

    /// Notes what is about to be sent.
    pub(super) fn note_sending(&mut self, push: &Push, sending: &Sending) {
        let (key, now) = (local_key(push), self.now.0);
        let link = self.outbound.links.entry(key.clone()).or_default();
        if sending.sent.creates {
            link.in_doubt_since = Some(now);
        }
        sending.sent.clone().remember(&mut link.sent);
        if let Some(conflict) = self.keep_decided(push, &sending.conflicts) {
            for id in &push.changes {
                if let Some(entry) = self.outbound.entries.get_mut(id).filter(|entry| entry.is_open()) {
                    entry.conflict = Some(conflict);
                }
            }
        }
    }

    /// Keeps what a person has to decide. A record has at most one open conflict. Returns its id.
    fn keep_open(&mut self, push: &Push, fields: &[FieldConflict]) -> ConflictId {
        let key = local_key(push);
        let is_own =
            |kept: &&Kept| kept.is_open() && (&kept.shown.entity, kept.shown.local_id) == (&key.0, key.1);
        let open = self.outbound.conflicts.values().find(is_own).map(|kept| kept.shown.id);
        let id = open.unwrap_or_else(|| ConflictId(self.next_id()));
        let new = self.conflict(id, push, fields);
        let kept = self.outbound.conflicts.entry(id).or_insert(new);
        kept.shown.fields = fields.to_vec();
        id
    }

    /// Closes the open conflict of a record, because the changes that it was about have ended without a person.
    fn close(&mut self, key: &LocalKey) {
        let now = self.now.0;
        let of_record =
            |kept: &&mut Kept| kept.is_open() && (&kept.shown.entity, kept.shown.local_id) == (&key.0, key.1);
        for kept in self.outbound.conflicts.values_mut().filter(of_record) {
            kept.decided(now);
        }
    }

    /// Keeps what was decided and was not before. Returns the conflict, if there is one.
    fn keep_decided(&mut self, push: &Push, fields: &[FieldConflict]) -> Option<ConflictId> {
        // What a person decided is in the conflict that the person decided.
        let is_new = |field: &&FieldConflict| {
            let decided = push.decisions.get(&field.field);
            decided.is_none_or(|(source, _)| !same_value(source, &field.source))
        };
        let new: Vec<FieldConflict> = fields.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return None;
        }
        let (id, now) = (ConflictId(self.next_id()), self.now.0);
        let mut kept = self.conflict(id, push, &new);
        kept.decided(now);
        kept.decisions.clone_from(&push.decisions);
        let decisions = new.iter().filter_map(|it| Some((it.field.clone(), (it.source.clone(), it.winner?))));
        kept.decisions.extend(decisions);
        self.outbound.conflicts.insert(id, kept);
        Some(id)
    }

    fn conflict(&self, id: ConflictId, push: &Push, fields: &[FieldConflict]) -> Kept {
        let shown = Conflict {
            id,
            entity: push.entity.clone(),
            remote_id: push.link.remote_id.clone(),
            local_id: push.local_id,
            status: ConflictStatus::Open,
            fields: fields.to_vec(),
            created_at: self.now.0,
            resolved_at: None,
            resolved_by: None,
        };
        Kept { shown, decisions: BTreeMap::new() }
    }
}
