//! The store in memory.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tds_core::{
    memory::{MemoryStore, Row},
    record::{EntityType, Fields, RecordId},
    testkit::{
        ManualClock,
        conformance::{Harness, Stores},
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
    let store = MemoryStore::new(Arc::new(clock.clone()));
    let stores = Stores::new(&store, store.clone()).with_history(store.clone()).with_verify(store.clone());
    Memory { store, clock, stores }
}

/// Returns the entity type whose head rows are in this table.
fn entity_of(table: &str) -> EntityType {
    let name = if table == "price_lists" { "prices" } else { table };
    name.parse().expect("an entity type")
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
            let value = |row: Row| match column {
                "deleted_at" => row.deleted_at.map(|at| json!(at.to_string())),
                _ => row.fields.get(column).cloned(),
            };
            return row.and_then(value).into_iter().collect();
        };
        let rows = self.store.children(table, &id);
        assert!(rows.iter().all(|row| row[owner] == id.as_str()), "every child names its owner");
        rows.iter().filter_map(|row| row.get(column).cloned()).collect()
    }

    async fn change_column(&self, table: &str, id: &str, column: &str, value: &str) {
        self.store.edit(&entity_of(table), &RecordId::new(id), column, json!(value));
    }

    async fn refused_columns(&self, id: &str) -> Fields {
        self.store.refuse(&EntityType::from_static("products"), &RecordId::new(id));
        Fields::from_iter([("name".to_owned(), json!("refused"))])
    }
}
