//! The store in PostgreSQL.

mod local;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tds_core::{
    mirror::MirrorSchema,
    record::Fields,
    testkit::conformance::{Harness, Stores, privacy::persons},
};
use tds_postgres::{PgEraser, PgMirror, PgStore, StoreSettings, testkit::TestDatabase};

tds_core::conformance!(postgres);

struct Postgres {
    database: TestDatabase,
    stores: Stores,
}

/// Returns the traits of the store.
pub(crate) fn stores_of(store: &PgStore, database: &TestDatabase) -> Stores {
    let database = database.database();
    Stores::new(store, PgMirror::new(database.clone()).without_erased(persons()))
        .with_history(store.clone())
        .with_verify(store.clone())
        .with_outbound(store.clone())
        .with_eraser(PgEraser::new(database.clone(), persons()))
}

async fn postgres() -> Postgres {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    Postgres { stores: stores_of(&store, &database), database }
}

impl Postgres {
    async fn begin(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        self.database.database().pool().begin().await.expect("a transaction")
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

    async fn write_local(
        &self,
        schema: &MirrorSchema,
        local_id: Option<i64>,
        fields: Fields,
        rows: Option<Vec<Fields>>,
    ) -> i64 {
        let mut transaction = self.begin().await;
        let local_id = local::write_head(&mut transaction, schema, local_id, &fields).await;
        if let Some(rows) = rows {
            local::write_rows(&mut transaction, schema, local_id, &rows).await;
        }
        transaction.commit().await.expect("committed");
        local_id
    }

    async fn abandon_local(&self, schema: &MirrorSchema, fields: Fields) {
        let mut transaction = self.begin().await;
        local::write_head(&mut transaction, schema, None, &fields).await;
        transaction.rollback().await.expect("rolled back");
    }

    async fn delete_local(&self, schema: &MirrorSchema, local_id: i64, tombstone: bool) {
        let mut transaction = self.begin().await;
        local::delete(&mut transaction, schema, local_id, tombstone).await;
        transaction.commit().await.expect("committed");
    }

    async fn local_id(&self, schema: &MirrorSchema, id: &str) -> Option<i64> {
        let sql = format!("SELECT id FROM erp.{} WHERE zoho_id = $1", local::head(schema));
        let found = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id);
        found.fetch_optional(self.database.database().pool()).await.expect("the id can be read")
    }

    async fn local_values(
        &self,
        schema: &MirrorSchema,
        local_id: i64,
        child: bool,
        column: &str,
    ) -> Vec<Value> {
        let (table, owner) =
            if child { local::child(schema) } else { (local::head(schema), "id".to_owned()) };
        let sql = format!("SELECT {column}::text FROM erp.{table} WHERE {owner} = $1");
        let rows = sqlx::query_scalar(AssertSqlSafe(sql)).bind(local_id);
        let texts: Vec<Option<String>> =
            rows.fetch_all(self.database.database().pool()).await.expect("the column can be read");
        texts.into_iter().map(Value::from).collect()
    }

    async fn refused_columns(&self, _id: &str) -> Fields {
        Fields::from_iter(
            [("name", "refused"), ("rate", "not a number")]
                .map(|(name, value)| (name.to_owned(), json!(value))),
        )
    }
}
