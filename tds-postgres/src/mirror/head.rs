//! Head tables: one row per record, and one statement per batch.

use std::borrow::Cow;

use serde_json::Value;
use sqlx::types::Json;
use tds_core::record::{DateRange, Read, Record, Shape};

use super::{
    catalog::{Column, Columns},
    pending::Pending,
    references,
    seen::VOLATILE_SEEN,
};
use crate::{
    Database,
    db::{quote, session::Tx},
};

/// Columns that the mirror itself fills.
const OWN: [&str; 3] = ["raw", "synced_at", VOLATILE_SEEN];

/// The head rows of a batch, column by column. PostgreSQL needs six sevenths of the time to write rows from arrays of
/// text that it needs to write them from JSON objects.
pub(super) struct Rows<'a> {
    table: &'a str,
    columns: &'a Columns,
    ids: Vec<&'a str>,
    /// The texts of the rows, for each column that a source fills.
    texts: Vec<Vec<Option<Cow<'a, str>>>>,
    /// For each row, one byte for each of these columns: 1 if the row shows the column, possibly as `NULL`.
    shown: Vec<Vec<u8>>,
    raws: Vec<&'a str>,
    /// True for a list row or a pushed body, which may lack keys: it is merged into the `raw` that a detail brought.
    /// False for a detail, which replaces `raw`. `None`: only volatile columns are written, and `raw` stays unchanged.
    merge: Vec<Option<bool>>,
}

impl<'a> Rows<'a> {
    /// Creates an empty set of rows.
    pub(super) fn new(table: &'a str, columns: &'a Columns) -> Self {
        let texts = filled(columns).map(|_| Vec::new()).collect();
        let (ids, shown, raws, merge) = Default::default();
        Self { table, columns, ids, texts, shown, raws, merge }
    }

    /// Adds what a read shows of the head row. `pending`: local changes whose columns keep their values.
    pub(super) fn push(
        &mut self,
        read: &Read,
        record: &'a Record,
        stable: bool,
        volatile: bool,
        pending: Option<&Pending>,
    ) {
        let mut shown = Vec::with_capacity(self.texts.len());
        let keeps = |name: &str| pending.is_some_and(|pending| pending.keeps(name));
        for (column, texts) in filled(self.columns).zip(&mut self.texts) {
            let value = value_of(&column.name, record, stable, volatile).filter(|_| !keeps(&column.name));
            shown.push(u8::from(value.is_some()));
            texts.push(value.and_then(|value| text_of(value, column)));
        }
        self.ids.push(record.id.as_str());
        self.shown.push(shown);
        self.raws.push(record.raw.as_str());
        self.merge.push(stable.then_some(read.shape != Shape::Detail));
    }

    /// Writes the rows. Returns the rows that differed. Rows that do not differ are not written. `new`: no record of the
    /// rows is known, so all rows that are written count as new, and nothing is compared to name what changed.
    pub(super) async fn upsert(&self, tx: &mut Tx, new: bool) -> Result<Vec<Written>, sqlx::Error> {
        if self.ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as(quote::statement(upsert(self.table, self.columns, new)))
            .bind(&self.ids)
            .bind(&self.shown)
            .bind(&self.raws)
            .bind(&self.merge);
        self.texts.iter().fold(query, |query, texts| query.bind(texts)).fetch_all(tx).await
    }

    /// Returns the differences of the rows that the table has with other values, or does not have.
    pub(super) async fn differing(&self, tx: &mut Tx) -> Result<Vec<Differing>, sqlx::Error> {
        if self.ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as(quote::statement(differing(self.table, self.columns)))
            .bind(&self.ids)
            .bind(&self.shown);
        self.texts.iter().fold(query, |query, texts| query.bind(texts)).fetch_all(tx).await
    }
}

/// A row that was written.
#[derive(sqlx::FromRow)]
pub(super) struct Written {
    /// The id of the record at the source.
    pub(super) zoho_id: String,
    /// The columns that changed; `None` if the row is new.
    pub(super) changed: Option<Vec<String>>,
}

/// A row that differs.
#[derive(sqlx::FromRow)]
pub(super) struct Differing {
    /// The id of the record at the source.
    pub(super) zoho_id: String,
    /// The table has no such row.
    pub(super) missing: bool,
    /// The row is a tombstone.
    pub(super) deleted: bool,
    /// For each column that differs: its name, the value of the read, and the value of the row.
    pub(super) columns: Json<Vec<(String, Value, Value)>>,
}

/// Counts the live rows whose value of a column lies in the range. `None` if the table does not have the column, or
/// has no tombstones.
pub(super) async fn count_dated(
    database: &Database,
    table: &str,
    columns: &Columns,
    column: &str,
    dates: DateRange,
) -> Result<Option<u64>, sqlx::Error> {
    let has = |name: &str| columns.iter().any(|known| known.name == name);
    if !has(column) || !has("deleted_at") {
        return Ok(None);
    }
    let statement = quote::statement(format!(
        "SELECT count(*) FROM {} WHERE deleted_at IS NULL
           AND {}::date BETWEEN COALESCE($1, '-infinity'::date) AND COALESCE($2, 'infinity'::date)",
        quote::table(table),
        quote::identifier(column)
    ));
    let count = sqlx::query_scalar(statement).bind(dates.from()).bind(dates.to());
    let count: i64 = count.fetch_one(database).await?;
    Ok(u64::try_from(count).ok())
}

/// Returns the columns that come from a record's fields.
fn filled(columns: &Columns) -> impl Iterator<Item = &Column> {
    columns.iter().filter(|column| column.name != "zoho_id" && !OWN.contains(&column.name.as_str()))
}

/// Returns the value that a record shows of a column. `None` if the record does not show the column.
fn value_of<'a>(name: &str, record: &'a Record, stable: bool, volatile: bool) -> Option<&'a Value> {
    let volatile = record.volatile.get(name).filter(|_| volatile);
    volatile.or_else(|| match name {
        _ if !stable => None,
        "deleted_at" => Some(&Value::Null),
        _ => record.fields.get(name),
    })
}

/// Returns a value as the input of its column's type. Numbers keep the spelling of the source.
fn text_of<'a>(value: &'a Value, column: &Column) -> Option<Cow<'a, str>> {
    match value {
        Value::Null => None,
        Value::String(text) if !column.is_json && !column.is_nested => Some(Cow::Borrowed(text)),
        _ => Some(Cow::Owned(value.to_string())),
    }
}

/// Returns the SQL expression that reads a column from its array.
fn expression(index: usize, column: &Column) -> String {
    let value = if column.is_nested {
        let (name, key) = (quote::identifier(&column.name), quote::literal(&column.name));
        format!("(json_populate_record(old.tds_head, json_build_object({key}, docs.c{index}::json))).{name}")
    } else {
        format!("docs.c{index}::{}", column.type_name)
    };
    shown_or_old(index, column, &value)
}

/// Returns the SQL expression for the value that the column would hold. An assignment to the column applies the column's
/// length and precision; a comparison has to do so itself.
fn stored_expression(index: usize, column: &Column) -> String {
    if column.is_nested || column.is_json || !column.is_limited {
        return expression(index, column);
    }
    let (name, key) = (quote::identifier(&column.name), quote::literal(&column.name));
    let value =
        format!("(json_populate_record(old.tds_head, json_build_object({key}, docs.c{index}))).{name}");
    shown_or_old(index, column, &value)
}

fn shown_or_old(index: usize, column: &Column, value: &str) -> String {
    let name = quote::identifier(&column.name);
    format!("CASE WHEN get_byte(docs.shown, {index}) = 1 THEN {value} ELSE old.{name} END")
}

/// Returns the table expression `docs`, which has the arrays of a statement as its columns: the given columns with
/// their types, then one column for each filled column.
fn docs(fixed: &[(&str, &str)], columns: &Columns) -> String {
    let mut names: Vec<String> = fixed.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut arrays: Vec<String> =
        fixed.iter().zip(1..).map(|((_, type_name), number)| format!("${number}::{type_name}[]")).collect();
    for (index, _) in filled(columns).enumerate() {
        names.push(format!("c{index}"));
        arrays.push(format!("${}::text[]", arrays.len() + 1));
    }
    format!("unnest({}) AS docs({})", arrays.join(", "), names.join(", "))
}

/// Returns what a statement reads of the rows `t` that the table has. The whole row is read only for columns whose type does not tell how they store a value,
/// because values that PostgreSQL keeps outside the row would be part of its copy.
fn present(columns: &Columns) -> String {
    let mut read: Vec<String> = vec!["t.zoho_id".to_owned()];
    read.extend(filled(columns).map(|column| format!("t.{}", quote::identifier(&column.name))));
    if has(columns, "raw") {
        read.push("t.raw".to_owned());
    }
    if columns.iter().any(|column| column.is_nested || column.is_limited) {
        read.push("t AS tds_head".to_owned());
    }
    read.join(", ")
}

fn has(columns: &Columns, name: &str) -> bool {
    columns.iter().any(|column| column.name == name)
}

/// Returns the upsert statement. Its parameters are the ids, the shown columns, the raws, the merge flags, and then
/// one array for each filled column. The columns that changed are named by a comparison of the rows as they were and as
/// they are, because only the table's columns say whether two values are equal. A text that contains the whole record
/// changes with every version, so it is named only if nothing else changed.
fn upsert(table: &str, columns: &Columns, new: bool) -> String {
    let docs = docs(&[("zoho_id", "text"), ("shown", "bytea"), ("raw", "text"), ("merge", "bool")], columns);
    let (mut compared, mut values) = (vec!["zoho_id"], vec!["docs.zoho_id".to_owned()]);
    for (index, column) in filled(columns).enumerate() {
        compared.push(&column.name);
        values.push(expression(index, column));
    }
    if has(columns, "raw") {
        compared.push("raw");
        // A text that is not a JSON object replaces the old value. A source whose answer was understood never sends
        // such a text.
        values.push(
            "CASE WHEN docs.merge IS NULL THEN old.raw
               WHEN docs.merge AND jsonb_typeof(old.raw) = 'object' THEN old.raw || docs.raw::jsonb
               ELSE docs.raw::jsonb END"
                .to_owned(),
        );
    }
    let mut written: Vec<String> = compared.iter().map(|name| (*name).to_owned()).collect();
    if has(columns, "synced_at") {
        written.push("synced_at".to_owned());
        values.push("now()".to_owned());
    }
    let mut present = present(columns);
    for (index, column) in filled(columns).enumerate() {
        let Some(reference) = references::by_remote(table, &column.name) else { continue };
        let (remote, local) = (quote::identifier(&column.name), quote::identifier(&reference.local()));
        let named = expression(index, column);
        present.push_str(&format!(", t.{local}"));
        values.push(format!(
            "CASE WHEN old.{local} IS NOT NULL AND {named} IS NOT DISTINCT FROM old.{remote} THEN old.{local}
               ELSE {} END",
            reference.local_of(&named)
        ));
        written.push(reference.local());
    }
    let compared_columns = || filled(columns).filter(|_| !new);
    let named = compared_columns().map(|column| {
        let (name, text) = (quote::identifier(&column.name), quote::literal(&column.name));
        format!("CASE WHEN new.{name} IS DISTINCT FROM old.{name} THEN {text} END")
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let returned = compared_columns().map(|column| format!(", target.{}", quote::identifier(&column.name)));
    let returned: String = returned.collect();
    let (changed, join) = if new {
        ("NULL::text[]".to_owned(), "")
    } else {
        let names = format!("array_remove(ARRAY[{named}]::text[], NULL)");
        let changed = format!("coalesce(NULLIF({names}, '{{}}'), '{{raw}}')");
        (format!("CASE WHEN old.zoho_id IS NOT NULL THEN {changed} END"), "LEFT JOIN old USING (zoho_id)")
    };
    let set: Vec<String> = written
        .iter()
        .map(|column| quote::identifier(column))
        .map(|column| format!("{column} = EXCLUDED.{column}"))
        .collect();
    // The old row is locked and read in its newest version, because another session may be changing other columns of
    // it.
    format!(
        "WITH old AS MATERIALIZED (
           SELECT {present} FROM {table} AS t WHERE t.zoho_id = ANY($1)
           ORDER BY t.zoho_id COLLATE \"C\" FOR UPDATE),
         new AS (
           INSERT INTO {table} AS target ({into})
           SELECT {values} FROM {docs} LEFT JOIN old USING (zoho_id)
            WHERE docs.merge IS NOT NULL OR old.zoho_id IS NOT NULL
           ON CONFLICT (zoho_id) DO UPDATE SET {set}
             WHERE ROW({now}) IS DISTINCT FROM ROW({then})
           RETURNING target.zoho_id{returned})
         SELECT new.zoho_id, {changed} AS changed FROM new {join}",
        table = quote::table(table),
        into = quote::list("", &written),
        values = values.join(", "),
        set = set.join(", "),
        now = quote::list("target.", &compared),
        then = quote::list("EXCLUDED.", &compared),
    )
}

/// Returns the comparison statement. Its parameters are the ids, the shown columns, and then one array for each
/// filled column. The values of a row are only compared one by one if the row differs.
fn differing(table: &str, columns: &Columns) -> String {
    let (mut theirs, mut ours) = (vec!["old.zoho_id".to_owned()], vec!["docs.zoho_id".to_owned()]);
    let mut named = Vec::new();
    for (index, column) in filled(columns).enumerate() {
        let (their, our) =
            (format!("old.{}", quote::identifier(&column.name)), stored_expression(index, column));
        if column.name != "deleted_at" {
            let name = quote::literal(&column.name);
            named.push(format!(
                "CASE WHEN {our} IS DISTINCT FROM {their} THEN jsonb_build_array({name}, {our}, {their}) END"
            ));
        }
        theirs.push(their);
        ours.push(our);
    }
    let deleted = if has(columns, "deleted_at") { "old.deleted_at IS NOT NULL" } else { "false" };
    format!(
        "WITH old AS MATERIALIZED (SELECT {present} FROM {table} AS t WHERE t.zoho_id = ANY($1))
         SELECT docs.zoho_id, old.zoho_id IS NULL AS missing, {deleted} AS deleted,
           coalesce((SELECT jsonb_agg(c) FROM unnest(ARRAY[{named}]::jsonb[]) AS c WHERE c IS NOT NULL), '[]') AS columns
          FROM {docs} LEFT JOIN old USING (zoho_id)
          WHERE ROW({theirs}) IS DISTINCT FROM ROW({ours})",
        table = quote::table(table),
        present = present(columns),
        docs = docs(&[("zoho_id", "text"), ("shown", "bytea")], columns),
        named = named.join(", "),
        theirs = theirs.join(", "),
        ours = ours.join(", "),
    )
}

/// Marks rows as deleted at the source.
pub(super) async fn tombstone(
    tx: &mut Tx,
    table: &str,
    columns: &Columns,
    ids: &[String],
) -> Result<(), sqlx::Error> {
    if ids.is_empty() || !has(columns, "deleted_at") {
        return Ok(());
    }
    let synced = if has(columns, "synced_at") { ", synced_at = now()" } else { "" };
    let sql = format!(
        "UPDATE {} SET deleted_at = now(){synced} WHERE zoho_id = ANY($1) AND deleted_at IS NULL",
        quote::table(table)
    );
    sqlx::query(quote::statement(sql)).bind(ids).execute(tx).await.map(drop)
}
