//! The end of a push.

use std::collections::BTreeMap;

use super::{
    local_key,
    state::{Kept, LocalKey},
};
use crate::{
    memory::state::State,
    outbound::{
        Conflict, ConflictId, ConflictStatus, EntryStatus, FieldConflict, OutboxId, Push, Settled, Settlement,
    },
};

/// The column that says whether a row is live.
const PRESENCE: &str = "deleted_at";
/// The decider of conflicts that no person decided.
const POLICY: &str = "policy";

impl Kept {
    /// Returns true if a person has to decide.
    pub(super) fn is_open(&self) -> bool {
        self.shown.status == ConflictStatus::Open
    }
}

impl State {
    pub(super) fn settle_push(&mut self, push: &Push, settlement: &Settlement) {
        let key = local_key(push);
        let own: Vec<OutboxId> =
            self.outbound.open(&key).map(|(id, _)| id).filter(|id| push.changes.contains(id)).collect();
        if own.is_empty() {
            return;
        }
        let is_withheld = self.take(push, settlement);
        let conflict = self.keep_conflicts(push, settlement);
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
        let stays = settlement.settled == Settled::Parked || is_withheld;
        if let Some(link) = self.outbound.links.get_mut(&key).filter(|_| !stays) {
            // What the mirror has accepted last is the base.
            link.base = None;
        }
    }

    /// Writes what the source won, except where a later change was captured. Returns true if there was such a change.
    fn take(&mut self, push: &Push, settlement: &Settlement) -> bool {
        let key = local_key(push);
        let is_free = |state: &Self, name: &str| !state.outbound.is_changed_beside(&key, &push.changes, name);
        let mut is_withheld = false;
        for (column, value) in &settlement.take {
            if !is_free(self, column) {
                is_withheld = true;
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
                is_withheld = true;
            }
        }
        is_withheld
    }

    /// Makes a removed row live again, or has it written anew by the next read.
    fn restore(&mut self, key: &LocalKey) {
        if let Some(row) = self.local_row_mut(key) {
            row.deleted_at = None;
        } else if let Some(known) = self.remote_key(key).and_then(|remote| self.records.get_mut(&remote)) {
            known.state = None;
        }
    }

    /// Keeps the conflicts of a push. Returns the conflict that its changes belong to.
    fn keep_conflicts(&mut self, push: &Push, settlement: &Settlement) -> Option<ConflictId> {
        let key = local_key(push);
        let open = self.outbound.open(&key).filter_map(|(_, entry)| entry.conflict);
        let open: Option<ConflictId> =
            open.filter(|id| self.outbound.conflicts.get(id).is_some_and(Kept::is_open)).max();
        let waits = settlement.settled == Settled::Parked;
        // What a person decided is in the conflict that the person decided.
        let is_new = |field: &&FieldConflict| {
            let decided = push.decisions.get(&field.field);
            decided.is_none_or(|(source, side)| *source != field.source || Some(*side) != field.winner)
        };
        let fields: Vec<FieldConflict> = settlement.conflicts.iter().filter(is_new).cloned().collect();
        if fields.is_empty() && open.is_none() {
            return None;
        }
        let id = open.unwrap_or_else(|| ConflictId(self.next_id()));
        let now = self.now.0;
        let kept = self.outbound.conflicts.entry(id).or_insert_with(|| Kept {
            shown: Conflict {
                id,
                entity: push.entity.clone(),
                remote_id: push.link.remote_id.clone(),
                local_id: push.local_id,
                status: ConflictStatus::Open,
                fields: Vec::new(),
                created_at: now,
                resolved_at: None,
                resolved_by: None,
            },
            decisions: BTreeMap::new(),
        });
        if !fields.is_empty() {
            kept.shown.fields = fields;
        }
        if !waits {
            kept.shown.status = ConflictStatus::Resolved;
            kept.shown.resolved_at = Some(now);
            kept.shown.resolved_by = Some(POLICY.to_owned());
        }
        Some(id)
    }
}
