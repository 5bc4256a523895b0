//! Other programs that write the target. Their changes are captured as triggers of a database would.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{Entry, LocalKey, Unlinked};
use crate::{
    memory::{MemoryStore, Row, state::State},
    mirror::MirrorSchema,
    outbound::{EntryStatus, Mode, Operation, OutboxId},
    record::{EntityType, Fields, Payload, RecordId, RecordKey, same_value},
};

impl MemoryStore {
    /// Inserts a record, as another program would. Returns its local id.
    pub fn insert_local(
        &self,
        schema: &MirrorSchema,
        mut fields: Fields,
        mut children: BTreeMap<String, Vec<Fields>>,
    ) -> i64 {
        self.change(|state| {
            state.outbound.see(schema);
            let local_id = state.outbound.next_local_id();
            let key = (schema.entity.clone(), local_id);
            state.outbound.resolve("", &mut fields);
            state.outbound.resolve_rows(&mut children);
            let row = Row { fields, raw: Payload::new("{}"), synced_at: state.now.0, deleted_at: None };
            state.outbound.unlinked.insert(key.clone(), Unlinked { row, children });
            state.capture(&key, Operation::Upsert, None);
            local_id
        })
    }

    /// Changes columns of a record, and replaces its rows in the child tables that are given, as another program would.
    /// Returns false if there is no such row.
    pub fn update_local(
        &self,
        schema: &MirrorSchema,
        local_id: i64,
        fields: Fields,
        children: BTreeMap<String, Vec<Fields>>,
    ) -> bool {
        self.change(|state| state.update_local(&(schema.entity.clone(), local_id), fields, children))
    }

    /// Removes a record, as another program would: its row goes or, as a tombstone, stays. Returns false if nothing was
    /// there to remove.
    pub fn delete_local(&self, entity: &EntityType, local_id: i64, tombstone: bool) -> bool {
        self.change(|state| state.delete_local(&(entity.clone(), local_id), tombstone))
    }

    /// Returns the local id of a record of the source.
    #[must_use]
    pub fn local_id(&self, entity: &EntityType, id: &RecordId) -> Option<i64> {
        self.state().outbound.local_ids.get(&RecordKey::new(entity.clone(), id.clone())).copied()
    }

    /// Returns the id at the source of a local record.
    #[must_use]
    pub fn remote_id(&self, entity: &EntityType, local_id: i64) -> Option<RecordId> {
        self.state().outbound.remote_id(&(entity.clone(), local_id)).cloned()
    }

    /// Returns the head row of a local record.
    #[must_use]
    pub fn local_row(&self, entity: &EntityType, local_id: i64) -> Option<Row> {
        self.state().local_row(&(entity.clone(), local_id)).cloned()
    }

    /// Returns the rows of a local record in a child table.
    #[must_use]
    pub fn local_rows(&self, entity: &EntityType, local_id: i64, table: &str) -> Vec<Fields> {
        self.state().local_rows(&(entity.clone(), local_id), table).to_vec()
    }

    /// Returns the local ids of the records that have a head row.
    #[must_use]
    pub fn local_ids(&self, entity: &EntityType) -> BTreeSet<i64> {
        let state = self.state();
        let unlinked = state.outbound.unlinked.keys();
        let linked = state.outbound.links.keys().filter(|key| state.local_row(key).is_some());
        unlinked.chain(linked).filter(|key| key.0 == *entity).map(|key| key.1).collect()
    }
}

impl State {
    /// Captures a change of a program, unless its entity type is not written locally.
    fn capture(&mut self, key: &LocalKey, operation: Operation, fields: Option<BTreeSet<String>>) {
        if self.outbound.mode(&key.0).mode == Mode::SourcePrimary {
            return;
        }
        let id = OutboxId(self.next_id());
        let entry = Entry {
            key: key.clone(),
            remote_id: self.outbound.remote_id(key).cloned(),
            operation,
            fields,
            status: EntryStatus::Pending,
            relayed: false,
            captured_at: self.now.0,
            settled_at: None,
            differences: Vec::new(),
            note: None,
            conflict: None,
        };
        self.outbound.entries.insert(id, entry);
    }

    fn update_local(
        &mut self,
        key: &LocalKey,
        mut fields: Fields,
        mut children: BTreeMap<String, Vec<Fields>>,
    ) -> bool {
        self.outbound.resolve("", &mut fields);
        self.outbound.resolve_rows(&mut children);
        let Some(row) = self.local_row(key) else { return false };
        fields.retain(|name, value| !row.fields.get(name).is_some_and(|old| same_value(old, value)));
        let mut changed: BTreeSet<String> = fields.keys().cloned().collect();
        for (table, rows) in children {
            let before = self.local_rows(key, &table).to_vec();
            self.set_local_rows(key, &table, rows);
            if self.local_rows(key, &table) != before {
                changed.insert(table);
            }
        }
        if let Some(row) = self.local_row_mut(key) {
            row.fields.extend(fields);
        }
        let is_live = self.local_row(key).is_some_and(|row| row.deleted_at.is_none());
        if is_live && !changed.is_empty() {
            self.capture(key, Operation::Upsert, Some(changed));
        }
        true
    }

    fn delete_local(&mut self, key: &LocalKey, tombstone: bool) -> bool {
        let now = self.now.0;
        let Some(row) = self.local_row_mut(key) else { return false };
        let is_live = row.deleted_at.is_none();
        if is_live {
            row.deleted_at = Some(now);
            self.capture(key, Operation::Delete, None);
        } else if tombstone {
            return false;
        }
        if !tombstone {
            self.remove_local_rows(key);
        }
        true
    }
}
