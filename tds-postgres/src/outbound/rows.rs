//! The rows of a record as values, in the spelling in which the source's answers are decoded.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{Row as _, types::Json};
use tds_core::{mirror::Child, record::Fields};

use super::target::{ID, Target};
use crate::{
    Tx,
    db::quote,
    mirror::{
        catalog::Column,
        references::{self, Reference},
    },
};

/// The column by whose code a currency is named, and the column that names it by its id.
const CURRENCY: (&str, &str) = ("currency_code", "currency_zoho_id");
/// The order of the rows of a child table.
const POSITION: &str = "position";
/// The column of a child table that no record has.
const ROWS_SEEN: &str = "synced_at";

/// The head row of a record.
pub(super) struct Head {
    /// The id of the record at the source.
    pub(super) remote_id: Option<String>,
    /// What the source sent of the record.
    pub(super) raw: Option<String>,
    /// The status in it.
    pub(super) remote_status: Option<String>,
    /// The row is a tombstone.
    pub(super) is_deleted: bool,
    /// The columns that belong to records.
    pub(super) fields: Fields,
}

/// Reads the head row of a record, with the references resolved.
pub(super) async fn head(tx: &mut Tx, target: &Target, local_id: i64) -> Result<Option<Head>, sqlx::Error> {
    let optional = |column: &str, expression: &str, none: &str| {
        if target.has(column) { expression.to_owned() } else { none.to_owned() }
    };
    let sql = format!(
        "SELECT to_jsonb(t) - 'raw' AS fields, t.zoho_id, {raw} AS raw, {status} AS status, {deleted} AS is_deleted,
           {currency} AS currency, {by_local} AS by_local, {by_remote} AS by_remote
          FROM {table} AS t WHERE t.id = $1",
        raw = optional("raw", "t.raw::text", "NULL::text"),
        status = optional("raw", "t.raw->>'status'", "NULL::text"),
        deleted = optional("deleted_at", "t.deleted_at IS NOT NULL", "false"),
        currency = optional(CURRENCY.0, &currency(), "NULL::text"),
        by_local = by_local(target.head),
        by_remote = by_remote(target.head),
        table = quote::table(target.head),
    );
    let row = sqlx::query(quote::statement(sql)).bind(local_id).fetch_optional(tx).await?;
    let Some(row) = row else { return Ok(None) };
    let (Json(stored), Json(by_local), Json(by_remote)): (Json<Fields>, Json<Fields>, Json<Fields>) =
        (row.try_get("fields")?, row.try_get("by_local")?, row.try_get("by_remote")?);
    let mut fields = spelled(stored, target.columns(), |name| target.is_of_records(name));
    for reference in references::of(target.head) {
        resolve(&mut fields, reference, &by_local, &by_remote);
    }
    if target.has(CURRENCY.0) && !target.has(CURRENCY.1) {
        let currency: Option<String> = row.try_get("currency")?;
        fields.insert(CURRENCY.1.to_owned(), currency.into());
    }
    Ok(Some(Head {
        remote_id: row.try_get("zoho_id")?,
        raw: row.try_get("raw")?,
        remote_status: row.try_get("status")?,
        is_deleted: row.try_get("is_deleted")?,
        fields,
    }))
}

/// Reads the rows of the child tables of a record, in their order, with the references resolved.
pub(super) async fn children(
    tx: &mut Tx,
    target: &Target,
    local_id: i64,
    remote_id: Option<&str>,
) -> Result<BTreeMap<String, Vec<Fields>>, sqlx::Error> {
    let mut children = BTreeMap::new();
    for child in target.children {
        let columns = target.columns_of(child.table);
        let position = if columns.iter().any(|it| it.name == POSITION) { "t.position, " } else { "" };
        // The local id is a parameter of every statement.
        let sql = format!(
            "SELECT to_jsonb(t), {by_local}, {by_remote} FROM {table} AS t
              WHERE {owned} AND $2::bigint IS NOT NULL ORDER BY {position}t.id",
            by_local = by_local(child.table),
            by_remote = by_remote(child.table),
            table = quote::table(child.table),
            owned = Target::is_owned(child, "$1", "$2"),
        );
        let rows: Vec<(Json<Fields>, Json<Fields>, Json<Fields>)> =
            sqlx::query_as(quote::statement(sql)).bind(remote_id).bind(local_id).fetch_all(&mut *tx).await?;
        let rows = rows.into_iter().map(|(Json(stored), Json(by_local), Json(by_remote))| {
            let mut row = spelled(stored, columns, |name| is_of_rows(child, columns, name));
            for reference in references::of(child.table).filter(|it| it.remote() != child.owner) {
                resolve(&mut row, reference, &by_local, &by_remote);
            }
            row
        });
        children.insert(child.table.to_owned(), rows.collect());
    }
    Ok(children)
}

/// Returns true if the column of a child table belongs to rows of records.
fn is_of_rows(child: &Child, columns: &[Column], name: &str) -> bool {
    let is_column = name != child.owner && name != ROWS_SEEN && columns.iter().any(|it| it.name == name);
    is_column
        || name == ID
        || references::of(child.table).any(|it| it.local() == name && it.remote() != child.owner)
}

/// Returns the columns of a row that are wanted. Times are spelled in UTC with `Z`, as decoded answers spell them.
fn spelled(stored: Fields, columns: &[Column], is_wanted: impl Fn(&str) -> bool) -> Fields {
    let is_time = |name: &str| {
        columns.iter().any(|column| column.name == name && column.type_name == "timestamp with time zone")
    };
    let value = |(name, value): (String, Value)| match value {
        Value::String(text) if is_time(&name) => {
            let text = text.strip_suffix("+00:00").map_or_else(|| text.clone(), |text| format!("{text}Z"));
            (name, Value::String(text))
        }
        other => (name, other),
    };
    stored.into_iter().filter(|(name, _)| is_wanted(name)).map(value).collect()
}

/// Fills in the id of a reference that is missing.
fn resolve(row: &mut Fields, reference: &Reference, by_local: &Fields, by_remote: &Fields) {
    let (remote, local) = (reference.remote(), reference.local());
    let is_null = |row: &Fields, name: &str| row.get(name).is_none_or(Value::is_null);
    let found = |found: &Fields, name: &str| found.get(name).cloned().unwrap_or(Value::Null);
    if is_null(row, &remote) {
        row.insert(remote.clone(), found(by_local, &remote));
    }
    if is_null(row, &local) {
        row.insert(local.clone(), found(by_remote, &local));
    }
}

/// Returns the SQL expression for an object with the ids at the source that the local ids of a row `t` lead to.
fn by_local(table: &str) -> String {
    object(references::of(table).map(|reference| {
        let local = format!("t.{}", quote::identifier(&reference.local()));
        (reference.remote(), reference.remote_of(&local))
    }))
}

/// Returns the SQL expression for an object with the local ids that the ids at the source of a row `t` lead to.
fn by_remote(table: &str) -> String {
    object(references::of(table).map(|reference| {
        let remote = format!("t.{}", quote::identifier(&reference.remote()));
        (reference.local(), reference.local_of(&remote))
    }))
}

fn object(pairs: impl Iterator<Item = (String, String)>) -> String {
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}, {value}", quote::literal(&name))).collect();
    format!("jsonb_build_object({})", pairs.join(", "))
}

fn currency() -> String {
    format!(
        "(SELECT c.zoho_id FROM {} AS c WHERE c.code = t.currency_code AND c.deleted_at IS NULL
           ORDER BY c.zoho_id LIMIT 1)",
        quote::table("currencies")
    )
}
