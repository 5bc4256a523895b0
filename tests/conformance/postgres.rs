//! The store in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tds_core::{
    record::Fields,
    testkit::conformance::{Harness, Stores},
};
use tds_postgres::{PgMirror, PgStore, StoreSettings, testkit::TestDatabase};

tds_core::conformance!(postgres);

struct Postgres {
    database: TestDatabase,
    stores: Stores,
}

/// Returns the traits of the store.
pub(crate) fn stores_of(store: &PgStore, database: &TestDatabase) -> Stores {
    Stores::new(store, PgMirror::new(database.database().clone()))
}

async fn postgres() -> Postgres {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    Postgres { stores: stores_of(&store, &database), database }
}

impl Postgres {
    /// Returns the texts of one column. Only the cases name tables and columns, so no text comes from outside.
    async fn texts(&self, table: &str, owner: &str, id: &str, column: &str) -> Vec<Option<String>> {
        let sql =
            format!("SELECT {column}::text FROM erp.{table} WHERE {owner} = $1 ORDER BY {column}::text");
        let rows = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).fetch_all(self.database.database().pool());
        rows.await.expect("the column can be read")
    }
}

#[async_trait]
impl Harness for Postgres {
    fn stores(&self) -> &Stores {
        &self.stores
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn column(&self, table: &str, id: &str, column: &str) -> Option<String> {
        self.texts(table, "zoho_id", id, column).await.pop().flatten()
    }

    async fn child_column(&self, table: &str, owner: &str, id: &str, column: &str) -> Vec<String> {
        let mut texts: Vec<String> =
            self.texts(table, owner, id, column).await.into_iter().flatten().collect();
        texts.sort();
        texts
    }

    async fn change_column(&self, table: &str, id: &str, column: &str, value: &str) {
        let sql = format!("UPDATE erp.{table} SET {column} = $2 WHERE zoho_id = $1");
        let changed = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(value);
        changed.execute(self.database.database().pool()).await.expect("the column can be changed");
    }

    async fn refused_columns(&self, _id: &str) -> Fields {
        Fields::from_iter(
            [("name", "refused"), ("rate", "not a number")]
                .map(|(name, value)| (name.to_owned(), json!(value))),
        )
    }
}
