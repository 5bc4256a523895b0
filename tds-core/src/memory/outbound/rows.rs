//! The rows of local records, whether they have an id at the source or not.

use std::collections::BTreeMap;

use serde_json::Value;

use super::state::{LocalKey, OutboundState};
use crate::{
    memory::{Row, state::State},
    mirror::MirrorSchema,
    outbound::LocalRecord,
    record::{EntityType, Fields, RecordId, RecordKey},
};

/// References to other records: the beginning of the table's name, the beginning of the two columns, and the entity type
/// of the record. `customer_id` has the local id, and `customer_zoho_id` the id at the source.
const REFERENCES: [(&str, &str, EntityType); 6] = [
    ("", "customer", EntityType::from_static("customers")),
    ("", "vendor", EntityType::from_static("vendors")),
    ("", "product", EntityType::from_static("products")),
    ("price_list", "price_list", EntityType::from_static("prices")),
    ("customer_payment", "document", EntityType::from_static("invoices")),
    ("vendor_payment", "document", EntityType::from_static("bills")),
];

impl State {
    /// Returns the key under which the rows of a local record are, if it has an id at the source.
    pub(super) fn remote_key(&self, key: &LocalKey) -> Option<RecordKey> {
        let id = self.outbound.remote_id(key)?;
        Some(RecordKey::new(key.0.clone(), id.clone()))
    }

    pub(super) fn local_row(&self, key: &LocalKey) -> Option<&Row> {
        match self.remote_key(key) {
            Some(remote) => self.records.get(&remote)?.row.as_ref(),
            None => self.outbound.unlinked.get(key).map(|unlinked| &unlinked.row),
        }
    }

    pub(super) fn local_row_mut(&mut self, key: &LocalKey) -> Option<&mut Row> {
        match self.remote_key(key) {
            Some(remote) => self.records.get_mut(&remote)?.row.as_mut(),
            None => self.outbound.unlinked.get_mut(key).map(|unlinked| &mut unlinked.row),
        }
    }

    pub(super) fn local_rows(&self, key: &LocalKey, table: &str) -> &[Fields] {
        let rows = match self.outbound.remote_id(key) {
            Some(id) => self.children.get(&(table.to_owned(), id.clone())),
            None => self.outbound.unlinked.get(key).and_then(|unlinked| unlinked.children.get(table)),
        };
        rows.map_or(&[], Vec::as_slice)
    }

    /// Replaces the child rows of a local record.
    pub(super) fn set_local_rows(&mut self, key: &LocalKey, table: &str, rows: Vec<Fields>) {
        match self.outbound.remote_id(key).cloned() {
            Some(id) => {
                let owned = self.outbound.owned(&key.0, table, &id, rows);
                self.children.insert((table.to_owned(), id), owned);
            }
            None => {
                if let Some(unlinked) = self.outbound.unlinked.get_mut(key) {
                    unlinked.children.insert(table.to_owned(), rows);
                }
            }
        }
    }

    /// Removes the rows of a local record.
    pub(super) fn remove_local_rows(&mut self, key: &LocalKey) {
        self.outbound.unlinked.remove(key);
        let Some(remote) = self.remote_key(key) else { return };
        if let Some(known) = self.records.get_mut(&remote) {
            known.row = None;
        }
        let schema = self.outbound.schemas.get(&key.0);
        for child in schema.map_or(&[][..], |schema| schema.children) {
            self.children.remove(&(child.table.to_owned(), remote.id.clone()));
        }
    }

    /// Returns a local record as a writer gets it.
    pub(super) fn writable_record(
        &self,
        schema: &MirrorSchema,
        key: &LocalKey,
        id: &str,
    ) -> Option<LocalRecord> {
        let row = self.local_row(key)?;
        let resolved = |table: &str, mut fields: Fields| {
            self.outbound.resolve(table, &mut fields);
            fields
        };
        let children = schema.children.iter().map(|child| {
            let rows = self.local_rows(key, child.table).iter().cloned();
            (child.table.to_owned(), rows.map(|row| resolved(child.table, row)).collect())
        });
        let remote_status = row.fields.get("status").and_then(Value::as_str).map(str::to_owned);
        Some(LocalRecord {
            key: id.to_owned(),
            remote_id: self.outbound.remote_id(key).cloned(),
            remote_status,
            fields: resolved(schema.head.unwrap_or_default(), row.fields.clone()),
            children: children.collect::<BTreeMap<_, _>>(),
        })
    }

    /// Replaces references to a local record by references to another one, and fills in the id at the source.
    pub(super) fn repoint(&mut self, from: &LocalKey, to: &LocalKey) {
        let State { records, children, outbound, .. } = self;
        let linked_heads = records.iter_mut().filter_map(|(_, known)| Some(&mut known.row.as_mut()?.fields));
        let linked_rows = children.iter_mut().map(|((table, _), rows)| (table.as_str(), rows));
        let (links, unlinked) = (&outbound.links, &mut outbound.unlinked);
        let point = |table: &str, fields: &mut Fields| {
            for (stem, entity) in references(table) {
                let (local, remote) = columns(stem);
                if entity == from.0 && fields.get(&local).and_then(Value::as_i64) == Some(from.1) {
                    fields.insert(local, to.1.into());
                    if let Some(id) = links.get(to).and_then(|link| link.remote_id.as_ref()) {
                        fields.insert(remote, id.as_str().into());
                    }
                }
            }
        };
        linked_heads.for_each(|fields| point("", fields));
        linked_rows.for_each(|(table, rows)| rows.iter_mut().for_each(|row| point(table, row)));
        for unlinked in unlinked.values_mut() {
            point("", &mut unlinked.row.fields);
            for (table, rows) in &mut unlinked.children {
                rows.iter_mut().for_each(|row| point(table, row));
            }
        }
    }
}

impl OutboundState {
    /// Fills in the ids at the source of the records that a row refers to by their local ids.
    pub(super) fn resolve(&self, table: &str, fields: &mut Fields) {
        for (stem, entity) in references(table) {
            let (local, remote) = columns(stem);
            let Some(local_id) = fields.get(&local).and_then(Value::as_i64) else { continue };
            if let Some(id) = self.remote_id(&(entity, local_id)) {
                fields.insert(remote, id.as_str().into());
            }
        }
    }

    /// Fills in the ids at the source in child rows.
    pub(super) fn resolve_rows(&self, children: &mut BTreeMap<String, Vec<Fields>>) {
        for (table, rows) in children {
            rows.iter_mut().for_each(|row| self.resolve(table, row));
        }
    }

    /// Lets the local ids of a row follow the ids at the source that a read wrote.
    pub(in crate::memory) fn follow(&self, row: &mut Fields, written: &Fields) {
        for (stem, entity) in references("") {
            let (local, remote) = columns(stem);
            if !row.contains_key(&local) || !written.contains_key(&remote) {
                continue;
            }
            let id = row.get(&remote).and_then(Value::as_str).map(RecordId::new);
            let key = id.map(|id| RecordKey::new(entity, id));
            let known = key.and_then(|key| self.local_id(&key));
            row.insert(local, known.map_or(Value::Null, Value::from));
        }
    }

    /// Returns child rows with the owner column.
    pub(super) fn owned(
        &self,
        entity: &EntityType,
        table: &str,
        id: &RecordId,
        rows: Vec<Fields>,
    ) -> Vec<Fields> {
        let schema = self.schemas.get(entity);
        let child = schema.and_then(|schema| schema.children.iter().find(|child| child.table == table));
        let own = |mut row: Fields| {
            if let Some(child) = child {
                row.insert(child.owner.to_owned(), id.as_str().into());
            }
            row
        };
        rows.into_iter().map(own).collect()
    }
}

fn references(table: &str) -> impl Iterator<Item = (&'static str, EntityType)> {
    let own = REFERENCES.into_iter().filter(move |(prefix, _, _)| table.starts_with(prefix));
    own.map(|(_, stem, entity)| (stem, entity))
}

fn columns(stem: &str) -> (String, String) {
    (format!("{stem}_id"), format!("{stem}_zoho_id"))
}
