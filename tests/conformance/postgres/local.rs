//! Another program that writes the tables of the mirror with plain SQL.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, types::Json};
use tds_core::{mirror::MirrorSchema, record::Fields};

pub(super) fn head(schema: &MirrorSchema) -> &'static str {
    schema.head.expect("the entity type has a head table")
}

/// Returns the first child table and its column with the local id of the record.
pub(super) fn child(schema: &MirrorSchema) -> (&'static str, String) {
    let child = schema.children.first().expect("the entity type has a child table");
    (child.table, child.owner.replace("_zoho_id", "_id"))
}

/// Inserts or changes a head row. Only the cases name tables and columns, so no text comes from outside.
pub(super) async fn write_head(
    connection: &mut PgConnection,
    schema: &MirrorSchema,
    local_id: Option<i64>,
    fields: &Fields,
) -> i64 {
    let table = head(schema);
    let columns = columns(fields);
    let row = format!("jsonb_populate_record(NULL::erp.{table}, $1)");
    let Some(local_id) = local_id else {
        let sql = format!("INSERT INTO erp.{table} ({columns}) SELECT {columns} FROM {row} RETURNING id");
        let inserted = sqlx::query_scalar(AssertSqlSafe(sql)).bind(Json(fields));
        return inserted.fetch_one(connection).await.expect("the row is inserted");
    };
    if !fields.is_empty() {
        let sql = format!("UPDATE erp.{table} SET ({columns}) = (SELECT {columns} FROM {row}) WHERE id = $2");
        let changed = sqlx::query(AssertSqlSafe(sql)).bind(Json(fields)).bind(local_id);
        changed.execute(connection).await.expect("the row is changed");
    }
    local_id
}

/// Replaces the child rows of a record.
pub(super) async fn write_rows(
    connection: &mut PgConnection,
    schema: &MirrorSchema,
    local_id: i64,
    rows: &[Fields],
) {
    let (table, owner) = child(schema);
    delete_rows(connection, schema, local_id).await;
    for row in rows {
        let mut row = row.clone();
        row.insert(owner.clone(), local_id.into());
        let columns = columns(&row);
        let sql = format!(
            "INSERT INTO erp.{table} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::erp.{table}, $1)"
        );
        let inserted = sqlx::query(AssertSqlSafe(sql)).bind(Json(row));
        inserted.execute(&mut *connection).await.expect("the row is inserted");
    }
}

async fn delete_rows(connection: &mut PgConnection, schema: &MirrorSchema, local_id: i64) {
    let (table, owner) = child(schema);
    let sql = format!("DELETE FROM erp.{table} WHERE {owner} = $1");
    let deleted = sqlx::query(AssertSqlSafe(sql)).bind(local_id);
    deleted.execute(connection).await.expect("the rows are deleted");
}

/// Removes a record: its rows go, or the head row becomes a tombstone.
pub(super) async fn delete(
    connection: &mut PgConnection,
    schema: &MirrorSchema,
    local_id: i64,
    tombstone: bool,
) {
    let table = head(schema);
    let sql = if tombstone {
        format!("UPDATE erp.{table} SET deleted_at = now() WHERE id = $1")
    } else {
        if !schema.children.is_empty() {
            delete_rows(connection, schema, local_id).await;
        }
        format!("DELETE FROM erp.{table} WHERE id = $1")
    };
    let deleted = sqlx::query(AssertSqlSafe(sql)).bind(local_id);
    deleted.execute(connection).await.expect("the row is deleted");
}

fn columns(fields: &Fields) -> String {
    let is_plain = |name: &str| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    assert!(fields.iter().all(|(name, value)| is_plain(name) && *value != Value::Object(Fields::new())));
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
