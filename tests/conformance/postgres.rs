//! The store in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tds_core::{
    mirror::MirrorSchema,
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
        .with_outbound(store.clone())
}

/// Returns the columns of a row.
fn columns_of(row: &Fields) -> String {
    row.keys().cloned().collect::<Vec<_>>().join(", ")
}

/// Returns the columns of the row `r`.
fn prefixed(row: &Fields) -> String {
    row.keys().map(|name| format!("r.{name}")).collect::<Vec<_>>().join(", ")
}

async fn postgres() -> Postgres {
    let database = TestDatabase::new().await;
    let store = PgStore::new(database.database().clone(), StoreSettings::default());
    Postgres { stores: stores_of(&store, &database), database }
}

/// Inserts a row as another program would. Returns its local id.
async fn insert(session: &mut sqlx::PgConnection, table: &str, row: &Fields) -> i64 {
    let sql = format!(
        "INSERT INTO erp.{table} ({}) SELECT {} FROM jsonb_populate_record(NULL::erp.{table}, $1) AS r RETURNING id",
        columns_of(row),
        prefixed(row)
    );
    let id = sqlx::query_scalar(AssertSqlSafe(sql)).bind(json!(row)).fetch_one(session);
    id.await.expect("inserted")
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
        let head = schema.head.expect("a head table");
        let mut tx = self.database.database().pool().begin().await.expect("begun");
        let local_id = match local_id {
            None => insert(&mut tx, head, &fields).await,
            Some(local_id) if fields.is_empty() => local_id,
            Some(local_id) => {
                let set: Vec<String> = fields.keys().map(|name| format!("{name} = r.{name}")).collect();
                let sql = format!(
                    "UPDATE erp.{head} AS t SET {} FROM jsonb_populate_record(NULL::erp.{head}, $1) AS r WHERE t.id = $2",
                    set.join(", ")
                );
                let update = sqlx::query(AssertSqlSafe(sql)).bind(json!(fields)).bind(local_id);
                update.execute(&mut *tx).await.expect("updated");
                local_id
            }
        };
        if let (Some(child), Some(rows)) = (schema.children.first(), rows) {
            let local = child.owner.replace("_zoho_id", "_id");
            let owned =
                format!("{local} = $1 OR {} = (SELECT zoho_id FROM erp.{head} WHERE id = $1)", child.owner);
            let delete = format!("DELETE FROM erp.{} WHERE {owned}", child.table);
            let delete = sqlx::query(AssertSqlSafe(delete)).bind(local_id);
            delete.execute(&mut *tx).await.expect("deleted");
            for mut row in rows {
                row.insert(local.clone(), json!(local_id));
                insert(&mut tx, child.table, &row).await;
            }
        }
        tx.commit().await.expect("committed");
        local_id
    }

    async fn abandon_local(&self, schema: &MirrorSchema, fields: Fields) {
        let mut tx = self.database.database().pool().begin().await.expect("begun");
        insert(&mut tx, schema.head.expect("a head table"), &fields).await;
        tx.rollback().await.expect("rolled back");
    }

    async fn delete_local(&self, schema: &MirrorSchema, local_id: i64, tombstone: bool) {
        let head = schema.head.expect("a head table");
        let sql = if tombstone {
            format!("UPDATE erp.{head} SET deleted_at = now() WHERE id = $1")
        } else {
            format!("DELETE FROM erp.{head} WHERE id = $1")
        };
        let delete = sqlx::query(AssertSqlSafe(sql)).bind(local_id);
        delete.execute(self.database.database().pool()).await.expect("deleted");
    }

    async fn local_id(&self, schema: &MirrorSchema, id: &str) -> Option<i64> {
        let sql = format!("SELECT id FROM erp.{} WHERE zoho_id = $1", schema.head.expect("a head table"));
        let id = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id);
        id.fetch_optional(self.database.database().pool()).await.expect("read")
    }

    async fn local_values(
        &self,
        schema: &MirrorSchema,
        local_id: i64,
        child: bool,
        column: &str,
    ) -> Vec<Value> {
        let head = schema.head.expect("a head table");
        let sql = match schema.children.first().filter(|_| child) {
            None => format!("SELECT {column}::text FROM erp.{head} WHERE id = $1"),
            Some(child) => format!(
                "SELECT {column}::text FROM erp.{} WHERE {} = $1 OR {} = (SELECT zoho_id FROM erp.{head} WHERE id = $1)",
                child.table,
                child.owner.replace("_zoho_id", "_id"),
                child.owner
            ),
        };
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
