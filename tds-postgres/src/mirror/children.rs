//! Child tables: several rows per record, which are replaced as a set and only if the set differs.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use sqlx::types::Json;
use tds_core::{mirror::Child, record::Fields};

use super::{
    catalog::{Columns, names},
    references,
    seen::ROWS_SEEN,
};
use crate::db::{quote, session::Tx};

/// The new sets of one table: the rows by the id of their record.
pub(super) type Sets<'a> = BTreeMap<&'a str, &'a [Fields]>;

/// Returns the number of rows of each record.
pub(super) async fn count(
    tx: &mut Tx,
    child: &Child,
    owners: &[String],
) -> Result<HashMap<String, usize>, sqlx::Error> {
    let owner = quote::identifier(child.owner);
    let sql = format!(
        "SELECT {owner}, count(*) FROM {} WHERE {owner} = ANY($1) GROUP BY 1",
        quote::table(child.table)
    );
    let counts: Vec<(String, i64)> = sqlx::query_as(quote::statement(sql)).bind(owners).fetch_all(tx).await?;
    Ok(counts.into_iter().map(|(owner, count)| (owner, usize::try_from(count).unwrap_or(0))).collect())
}

/// Replaces the sets that differ. Returns the ids of their records.
pub(super) async fn replace(
    tx: &mut Tx,
    child: &Child,
    columns: &Columns,
    sets: &Sets<'_>,
) -> Result<Vec<String>, sqlx::Error> {
    let changed = differing(tx, child, columns, sets).await?;
    if changed.is_empty() {
        return Ok(changed);
    }
    delete(tx, child, &changed).await?;
    let rows: Vec<Value> = changed
        .iter()
        .filter_map(|id| sets.get_key_value(id.as_str()))
        .flat_map(|(id, rows)| rows.iter().map(|row| with_owner(child, id, row)))
        .collect();
    let (mut into, mut from) = (quote::list("", filled(columns)), quote::list("r.", filled(columns)));
    for reference in references::of(child.table) {
        into.push_str(&format!(", {}", quote::identifier(&reference.local())));
        let remote = format!("r.{}", quote::identifier(&reference.remote()));
        from.push_str(&format!(", {}", reference.local_of(&remote)));
    }
    let sql = format!(
        "INSERT INTO {name} ({into}) SELECT {from} FROM jsonb_populate_recordset(NULL::{name}, $1::jsonb) AS r",
        name = quote::table(child.table),
    );
    sqlx::query(quote::statement(sql)).bind(Value::Array(rows).to_string()).execute(tx).await?;
    Ok(changed)
}

/// Deletes the rows of these records.
pub(super) async fn delete(tx: &mut Tx, child: &Child, owners: &[String]) -> Result<(), sqlx::Error> {
    let sql = format!(
        "DELETE FROM {} WHERE {} = ANY($1)",
        quote::table(child.table),
        quote::identifier(child.owner)
    );
    sqlx::query(quote::statement(sql)).bind(owners).execute(tx).await.map(drop)
}

/// Returns the records whose rows differ from the new rows. PostgreSQL compares by the rules of the columns.
pub(super) async fn differing(
    tx: &mut Tx,
    child: &Child,
    columns: &Columns,
    sets: &Sets<'_>,
) -> Result<Vec<String>, sqlx::Error> {
    let rows: Vec<Value> =
        sets.iter().flat_map(|(id, rows)| rows.iter().map(|row| with_owner(child, id, row))).collect();
    let sql = format!(
        "WITH fresh AS MATERIALIZED (
           SELECT {owner_of_r} AS owner_id_, {of_r} FROM jsonb_populate_recordset(NULL::{name}, $1::jsonb) AS r),
         present AS MATERIALIZED (SELECT {owner_of_t} AS owner_id_, {of_t} FROM {name} AS t WHERE {owner_of_t} = ANY($2))
         SELECT DISTINCT owner_id_ FROM (
           (TABLE fresh EXCEPT ALL TABLE present) UNION ALL (TABLE present EXCEPT ALL TABLE fresh)) AS difference",
        name = quote::table(child.table),
        owner_of_r = format_args!("r.{}", quote::identifier(child.owner)),
        owner_of_t = format_args!("t.{}", quote::identifier(child.owner)),
        of_r = quote::list("r.", filled(columns)),
        of_t = quote::list("t.", filled(columns)),
    );
    let owners: Vec<String> = sets.keys().map(|id| (*id).to_owned()).collect();
    sqlx::query_scalar(quote::statement(sql))
        .bind(Value::Array(rows).to_string())
        .bind(owners)
        .fetch_all(tx)
        .await
}

/// Returns the new rows, as the table would hold them, and the rows of the table, by record.
pub(super) async fn both(
    tx: &mut Tx,
    child: &Child,
    columns: &Columns,
    sets: &Sets<'_>,
) -> Result<HashMap<String, (Vec<Fields>, Vec<Fields>)>, sqlx::Error> {
    let fresh: Vec<Value> =
        sets.iter().flat_map(|(id, rows)| rows.iter().map(|row| with_owner(child, id, row))).collect();
    let sql = format!(
        "SELECT r.{owner}, true, to_jsonb(r) FROM jsonb_populate_recordset(NULL::{name}, $1::jsonb) AS r
         UNION ALL SELECT t.{owner}, false, to_jsonb(t) FROM {name} AS t WHERE t.{owner} = ANY($2)",
        name = quote::table(child.table),
        owner = quote::identifier(child.owner),
    );
    let owners: Vec<String> = sets.keys().map(|id| (*id).to_owned()).collect();
    let rows: Vec<(String, bool, Json<Fields>)> = sqlx::query_as(quote::statement(sql))
        .bind(Value::Array(fresh).to_string())
        .bind(owners)
        .fetch_all(tx)
        .await?;
    let filled: Vec<&String> = filled(columns).filter(|name| **name != child.owner).collect();
    let mut both: HashMap<String, (Vec<Fields>, Vec<Fields>)> = HashMap::new();
    for (owner, is_new, Json(mut row)) in rows {
        row.retain(|name, _| filled.contains(&name));
        let (new, present) = both.entry(owner).or_default();
        if is_new { new } else { present }.push(row);
    }
    Ok(both)
}

/// Returns the names of the columns that come from a record.
fn filled(columns: &Columns) -> impl Iterator<Item = &String> {
    names(columns).filter(|name| *name != ROWS_SEEN)
}

fn with_owner(child: &Child, id: &str, row: &Fields) -> Value {
    let mut row = row.clone();
    row.insert(child.owner.to_owned(), id.into());
    Value::Object(row)
}
