//! The store in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
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
        .with_history(store.clone())
        .with_verify(store.clone())
}

async fn postgres() -> Postgres {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    Postgres { stores: stores_of(&store, &database), database }
}

#[async_trait]
impl Harness for Postgres {
    fn stores(&self) -> &Stores {
        &self.stores
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    /// Returns the texts of one column. Only the cases name tables and columns, so no text comes from outside.
    async fn values(&self, table: &str, owner: Option<&str>, id: &str, column: &str) -> Vec<Value> {
        let owner = owner.unwrap_or("zoho_id");
        let sql = format!("SELECT {column}::text FROM erp.{table} WHERE {owner} = $1");
        let rows = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).fetch_all(self.database.database().pool());
        let texts: Vec<Option<String>> = rows.await.expect("the column can be read");
        texts.into_iter().map(Value::from).collect()
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
