//! Head tables: one row per record, a batch per statement.

use std::collections::HashSet;

use tds_core::{Fields, Read, Record, Shape};

use super::catalog::Columns;
use crate::{quote, session::Tx};

/// Columns that the mirror fills by itself in a way of their own.
const OWN: [&str; 2] = ["raw", "synced_at"];

/// Adds what a read shows of the head row to a JSON array; the text of numbers stays as the source spelled it.
pub(super) fn push_document(array: &mut String, read: &Read, record: &Record, stable: bool, volatile: bool) {
    let mut columns = Fields::new();
    if stable {
        columns.extend(record.fields.clone());
        columns.insert("deleted_at".to_owned(), serde_json::Value::Null);
    }
    if volatile {
        columns.extend(record.volatile.clone());
    }
    columns.insert("zoho_id".to_owned(), record.id.as_str().into());
    let document = serde_json::Value::Object(columns);
    // A list row or a pushed body may lack keys: it is laid over what a detail brought.
    let merge = read.shape != Shape::Detail;
    if !array.is_empty() {
        array.push(',');
    }
    array.push_str(&format!(r#"{{"merge":{merge},"columns":{document},"raw":{}}}"#, record.raw.as_str()));
}

/// Writes rows; answers the ids of those that differed. Rows that do not differ are not touched.
pub(super) async fn upsert(
    tx: &mut Tx,
    table: &str,
    columns: &Columns,
    documents: &str,
) -> Result<HashSet<String>, sqlx::Error> {
    let has = |name: &str| columns.iter().any(|column| column == name);
    let plain: Vec<&String> = columns.iter().filter(|column| !OWN.contains(&column.as_str())).collect();
    let mut compared = plain.clone();
    let (raw, synced_at) = ("raw".to_owned(), "synced_at".to_owned());
    let mut values = quote::list("r.", plain);
    if has("raw") {
        compared.push(&raw);
        // Text that is no JSON object (it never is, from a source that was understood) replaces what was there.
        values.push_str(
            ", CASE WHEN docs.merge AND jsonb_typeof((old.head).raw) = 'object' THEN (old.head).raw || docs.raw \
             ELSE docs.raw END",
        );
    }
    let mut written = compared.clone();
    if has("synced_at") {
        written.push(&synced_at);
        values.push_str(", now()");
    }
    let name = quote::table(table);
    let set: Vec<String> = written
        .iter()
        .map(|column| quote::identifier(column))
        .map(|c| format!("{c} = EXCLUDED.{c}"))
        .collect();
    // The old row is locked and read in its newest form: somebody else may be changing other columns of it.
    let sql = format!(
        "WITH docs AS MATERIALIZED (
           SELECT d->'columns' AS columns, d->'columns'->>'zoho_id' AS zoho_id, d->'raw' AS raw, (d->>'merge')::bool AS merge
           FROM jsonb_array_elements($1::jsonb) AS d),
         old AS MATERIALIZED (
           SELECT t AS head, t.zoho_id FROM {name} AS t WHERE t.zoho_id IN (SELECT zoho_id FROM docs)
           ORDER BY t.zoho_id COLLATE \"C\" FOR UPDATE)
         INSERT INTO {name} AS target ({into})
         SELECT {values} FROM docs LEFT JOIN old USING (zoho_id)
           CROSS JOIN LATERAL jsonb_populate_record(old.head, docs.columns) AS r
         ON CONFLICT (zoho_id) DO UPDATE SET {set}
           WHERE ROW({now}) IS DISTINCT FROM ROW({then})
         RETURNING target.zoho_id",
        into = quote::list("", written.iter().copied()),
        set = set.join(", "),
        now = quote::list("target.", compared.iter().copied()),
        then = quote::list("EXCLUDED.", compared.iter().copied()),
    );
    let ids: Vec<String> =
        sqlx::query_scalar(quote::statement(sql)).bind(format!("[{documents}]")).fetch_all(tx).await?;
    Ok(ids.into_iter().collect())
}

/// Marks rows as deleted at the source.
pub(super) async fn bury(
    tx: &mut Tx,
    table: &str,
    columns: &Columns,
    ids: &[String],
) -> Result<(), sqlx::Error> {
    if !columns.iter().any(|column| column == "deleted_at") {
        return Ok(());
    }
    let synced = if columns.iter().any(|column| column == "synced_at") { ", synced_at = now()" } else { "" };
    let sql = format!(
        "UPDATE {} SET deleted_at = now(){synced} WHERE zoho_id = ANY($1) AND deleted_at IS NULL",
        quote::table(table)
    );
    sqlx::query(quote::statement(sql)).bind(ids).execute(tx).await.map(drop)
}
