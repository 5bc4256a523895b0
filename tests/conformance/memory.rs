//! The store in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tds_core::{
    memory::{MemoryStore, Row},
    mirror::MirrorSchema,
    record::{EntityType, Fields, RecordId},
    testkit::{
        ManualClock,
        conformance::{Harness, Stores, privacy::persons},
    },
};

tds_core::conformance!(memory);

/// A store in memory and its clock.
pub(crate) struct Memory {
    pub(crate) store: MemoryStore,
    pub(crate) clock: ManualClock,
    pub(crate) stores: Stores,
}

/// Returns a new store.
pub(crate) async fn memory() -> Memory {
    let clock = ManualClock::default();
    let store = MemoryStore::new(Arc::new(clock.clone())).without_erased(persons());
    let stores = Stores::new(&store, store.clone())
        .with_history(store.clone())
        .with_verify(store.clone())
        .with_outbound(store.clone())
        .with_eraser(store.clone());
    Memory { store, clock, stores }
}

/// Returns the entity type whose head rows are in this table.
fn entity_of(table: &str) -> EntityType {
    let name = if table == "price_lists" { "prices" } else { table };
    name.parse().expect("an entity type")
}

/// Returns the columns of a row, with the time of its deletion.
fn with_presence(row: &Row) -> Fields {
    let mut fields = row.fields.clone();
    fields.extend(row.deleted_at.map(|at| ("deleted_at".to_owned(), json!(at.to_string()))));
    fields
}

#[async_trait]
impl Harness for Memory {
    fn stores(&self) -> &Stores {
        &self.stores
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn values(&self, table: &str, owner: Option<&str>, id: &str, column: &str) -> Vec<Value> {
        let id = RecordId::new(id);
        let Some(owner) = owner else {
            let row = self.store.row(&entity_of(table), &id);
            return row.and_then(|row| with_presence(&row).remove(column)).into_iter().collect();
        };
        let rows = self.store.children(table, &id);
        assert!(rows.iter().all(|row| row[owner] == id.as_str()), "every child names its owner");
        rows.iter().filter_map(|row| row.get(column).cloned()).collect()
    }

    async fn change_column(&self, table: &str, id: &str, column: &str, value: &str) {
        self.store.edit(&entity_of(table), &RecordId::new(id), column, json!(value));
    }

    async fn write_local(
        &self,
        schema: &MirrorSchema,
        local_id: Option<i64>,
        fields: Fields,
        rows: Option<Vec<Fields>>,
    ) -> i64 {
        let table = schema.children.first().map(|child| child.table.to_owned());
        let children = table.zip(rows).into_iter().collect();
        let Some(local_id) = local_id else { return self.store.insert_local(schema, fields, children) };
        assert!(self.store.update_local(schema, local_id, fields, children), "there is such a row");
        local_id
    }

    async fn delete_local(&self, schema: &MirrorSchema, local_id: i64, tombstone: bool) {
        assert!(self.store.delete_local(&schema.entity, local_id, tombstone), "there is such a row");
    }

    async fn local_id(&self, schema: &MirrorSchema, id: &str) -> Option<i64> {
        let local_id = self.store.local_id(&schema.entity, &RecordId::new(id))?;
        self.store.local_row(&schema.entity, local_id).map(|_| local_id)
    }

    async fn local_values(
        &self,
        schema: &MirrorSchema,
        local_id: i64,
        child: bool,
        column: &str,
    ) -> Vec<Value> {
        let rows = match schema.children.first().filter(|_| child) {
            Some(child) => self.store.local_rows(&schema.entity, local_id, child.table),
            None => {
                let row = self.store.local_row(&schema.entity, local_id);
                row.into_iter().map(|row| with_presence(&row)).collect()
            }
        };
        rows.iter().filter_map(|row| row.get(column).cloned()).collect()
    }

    async fn refused_columns(&self, id: &str) -> Fields {
        self.store.refuse(&EntityType::from_static("products"), &RecordId::new(id));
        Fields::from_iter([("name".to_owned(), json!("refused"))])
    }
}
