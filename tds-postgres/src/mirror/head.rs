//! Head tables: one row per record, a batch per statement.

use std::collections::HashSet;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use tds_core::{Read, Record, Shape};

use super::catalog::Columns as TableColumns;
use crate::{quote, session::Tx};

/// Columns that the mirror fills by itself in a way of their own.
const OWN: [&str; 2] = ["raw", "synced_at"];

/// Head rows on their way into their table.
#[derive(Default)]
pub(super) struct Rows<'a> {
    ids: Vec<&'a str>,
    columns: Vec<String>,
    raws: Vec<&'a str>,
    /// A list row or a pushed body may lack keys: it is laid over what a detail brought.
    merge: Vec<bool>,
}

impl<'a> Rows<'a> {
    /// Adds what a read shows of the head row.
    pub(super) fn push(&mut self, read: &Read, record: &'a Record, stable: bool, volatile: bool) {
        let columns = serde_json::to_string(&Columns { record, stable, volatile });
        self.ids.push(record.id.as_str());
        // Maps with keys of text can always be written.
        self.columns.push(columns.unwrap_or_default());
        self.raws.push(record.raw.as_str());
        self.merge.push(read.shape != Shape::Detail);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The columns of a row as JSON; the text of numbers stays as the source spelled it.
struct Columns<'a> {
    record: &'a Record,
    stable: bool,
    volatile: bool,
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { record, stable, volatile } = self;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in record.fields.iter().filter(|_| *stable) {
            map.serialize_entry(name, value)?;
        }
        if *stable {
            map.serialize_entry("deleted_at", &())?;
        }
        for (name, value) in record.volatile.iter().filter(|_| *volatile) {
            map.serialize_entry(name, value)?;
        }
        // The last of two equal names counts.
        map.serialize_entry("zoho_id", record.id.as_str())?;
        map.end()
    }
}

/// Writes rows; answers the ids of those that differed. Rows that do not differ are not touched.
pub(super) async fn upsert(
    tx: &mut Tx,
    table: &str,
    columns: &TableColumns,
    rows: &Rows<'_>,
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
           SELECT n.zoho_id, n.columns::json AS columns, n.raw::jsonb AS raw, n.merge
             FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[]) AS n(zoho_id, columns, raw, merge)),
         old AS MATERIALIZED (
           SELECT t AS head, t.zoho_id FROM {name} AS t WHERE t.zoho_id IN (SELECT zoho_id FROM docs)
           ORDER BY t.zoho_id COLLATE \"C\" FOR UPDATE)
         INSERT INTO {name} AS target ({into})
         SELECT {values} FROM docs LEFT JOIN old USING (zoho_id)
           CROSS JOIN LATERAL json_populate_record(old.head, docs.columns) AS r
         ON CONFLICT (zoho_id) DO UPDATE SET {set}
           WHERE ROW({now}) IS DISTINCT FROM ROW({then})
         RETURNING target.zoho_id",
        into = quote::list("", written.iter().copied()),
        set = set.join(", "),
        now = quote::list("target.", compared.iter().copied()),
        then = quote::list("EXCLUDED.", compared.iter().copied()),
    );
    let ids: Vec<String> = sqlx::query_scalar(quote::statement(sql))
        .bind(&rows.ids)
        .bind(&rows.columns)
        .bind(&rows.raws)
        .bind(&rows.merge)
        .fetch_all(tx)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Marks rows as deleted at the source.
pub(super) async fn bury(
    tx: &mut Tx,
    table: &str,
    columns: &TableColumns,
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
