//! Values that are written to the rows of a record: those in which the source won, and those that a person decided.

use serde_json::Value;
use sqlx::types::Json;
use tds_core::{
    mirror::Child,
    record::{Fields, same_value},
};

use super::target::{ID, Target};
use crate::{
    Tx,
    db::{quote, text::storable_json},
    mirror::references,
};

/// The columns that tell which rows are the same, in the order in which they are tried.
const SAME: [&str; 5] = [ID, "line_zoho_id", "document_zoho_id", "position", "product_zoho_id"];

/// Writes columns of the head row.
pub(super) async fn columns(
    tx: &mut Tx,
    target: &Target,
    local_id: i64,
    columns: &Fields,
) -> Result<(), sqlx::Error> {
    if columns.is_empty() {
        return Ok(());
    }
    let table = quote::table(target.head);
    let set = columns.keys().map(|name| {
        let column = quote::identifier(name);
        // The local id of a reference follows the id at the source.
        let local = references::by_remote(target.head, name).map_or_else(String::new, |reference| {
            let local = reference.local_of(&format!("n.{column}"));
            format!(", {} = {local}", quote::identifier(&reference.local()))
        });
        format!("{column} = n.{column}{local}")
    });
    let sql = format!(
        "UPDATE {table} AS t SET {} FROM jsonb_populate_record(NULL::{table}, $2::jsonb) AS n WHERE t.id = $1",
        set.collect::<Vec<_>>().join(", ")
    );
    let values = storable_json(&Value::Object(columns.clone())).to_string();
    sqlx::query(quote::statement(sql)).bind(local_id).bind(values).execute(tx).await.map(drop)
}

/// Locks the rows of a child table that belong to a record. A program that changes a row holds its lock until the change
/// is in the outbox.
pub(super) async fn lock_rows(
    tx: &mut Tx,
    child: &Child,
    local_id: i64,
    remote_id: Option<&str>,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "SELECT FROM {} AS t WHERE {} AND $2::bigint IS NOT NULL ORDER BY t.id FOR UPDATE",
        quote::table(child.table),
        Target::is_owned(child, "$1", "$2")
    );
    sqlx::query(quote::statement(sql)).bind(remote_id).bind(local_id).execute(tx).await.map(drop)
}

/// Replaces the rows of a child table that belong to a record. Rows that are on both sides keep their local ids.
pub(super) async fn rows(
    tx: &mut Tx,
    target: &Target,
    child: &Child,
    (local_id, remote_id): (i64, Option<&str>),
    rows: &[Fields],
) -> Result<(), sqlx::Error> {
    let table = quote::table(child.table);
    let sql = format!(
        "WITH gone AS (DELETE FROM {table} AS t WHERE {} AND $2::bigint IS NOT NULL RETURNING t.*)
         SELECT to_jsonb(gone) FROM gone ORDER BY gone.id",
        Target::is_owned(child, "$1", "$2")
    );
    let gone = sqlx::query_scalar(quote::statement(sql)).bind(remote_id).bind(local_id);
    let gone: Vec<Json<Fields>> = gone.fetch_all(&mut *tx).await?;
    let gone = gone.into_iter().map(|Json(row)| row).collect();
    let (kept, new) = with_ids(rows, gone);
    for (rows, has_ids) in [(kept, true), (new, false)] {
        if !rows.is_empty() {
            insert(tx, target, child, (local_id, remote_id), (&rows, has_ids)).await?;
        }
    }
    Ok(())
}

/// Gives rows the local ids of the rows that they replace. Returns the rows with ids and the others.
fn with_ids(rows: &[Fields], mut gone: Vec<Fields>) -> (Vec<Value>, Vec<Value>) {
    let (mut kept, mut new) = (Vec::new(), Vec::new());
    for row in rows {
        let is_same = |column: &str, other: &Fields| {
            let value = row.get(column).filter(|value| !value.is_null());
            value.is_some_and(|value| other.get(column).is_some_and(|it| same_value(it, value)))
        };
        let place = SAME.iter().find_map(|column| gone.iter().position(|other| is_same(column, other)));
        let mut row = row.clone();
        row.remove(ID);
        match place.and_then(|place| gone.remove(place).remove(ID)) {
            Some(id) => {
                row.insert(ID.to_owned(), id);
                kept.push(Value::Object(row));
            }
            None => new.push(Value::Object(row)),
        }
    }
    (kept, new)
}

async fn insert(
    tx: &mut Tx,
    target: &Target,
    child: &Child,
    (local_id, remote_id): (i64, Option<&str>),
    (rows, has_ids): (&[Value], bool),
) -> Result<(), sqlx::Error> {
    let (mut into, mut from) = (Vec::new(), Vec::new());
    if has_ids {
        into.push(quote::identifier(ID));
        from.push(format!("r.{}", quote::identifier(ID)));
    }
    for column in target.columns_of(child.table) {
        into.push(quote::identifier(&column.name));
        from.push(if column.name == child.owner {
            "$2".to_owned()
        } else {
            format!("r.{}", quote::identifier(&column.name))
        });
    }
    for reference in references::of(child.table) {
        let (remote, local) =
            (format!("r.{}", quote::identifier(&reference.remote())), quote::identifier(&reference.local()));
        into.push(local.clone());
        from.push(if reference.remote() == child.owner {
            "$3".to_owned()
        } else {
            let found = reference.local_of(&remote);
            format!("CASE WHEN {remote} IS NULL THEN r.{local} ELSE {found} END")
        });
    }
    let table = quote::table(child.table);
    let sql = format!(
        "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE
         SELECT {} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb) AS r WHERE $3::bigint IS NOT NULL",
        into.join(", "),
        from.join(", ")
    );
    let values = storable_json(&Value::Array(rows.to_vec())).to_string();
    let insert = sqlx::query(quote::statement(sql)).bind(values);
    insert.bind(remote_id).bind(local_id).execute(tx).await.map(drop)
}

/// Fills in the ids at the source that the rows of a record lack, and the record's own id in its child rows.
pub(super) async fn resolve_references(
    tx: &mut Tx,
    target: &Target,
    (local_id, remote_id): (i64, Option<&str>),
) -> Result<(), sqlx::Error> {
    for reference in references::of(target.head) {
        let (remote, local) = (quote::identifier(&reference.remote()), quote::identifier(&reference.local()));
        let sql = format!(
            "UPDATE {} AS t SET {remote} = h.zoho_id FROM {} AS h
              WHERE t.id = $1 AND h.id = t.{local} AND h.zoho_id IS NOT NULL AND t.{remote} IS NULL",
            quote::table(target.head),
            quote::table(reference.head)
        );
        sqlx::query(quote::statement(sql)).bind(local_id).execute(&mut *tx).await?;
    }
    for child in target.children {
        let table = quote::table(child.table);
        if let (Some(owner), Some(id)) = (Target::owner(child), remote_id) {
            let remote = quote::identifier(child.owner);
            let sql = format!(
                "UPDATE {table} AS t SET {remote} = $2 WHERE t.{remote} IS NULL AND t.{} = $1",
                quote::identifier(&owner.local())
            );
            sqlx::query(quote::statement(sql)).bind(local_id).bind(id).execute(&mut *tx).await?;
        }
        for reference in references::of(child.table).filter(|it| it.remote() != child.owner) {
            let remote = quote::identifier(&reference.remote());
            let sql = format!(
                "UPDATE {table} AS t SET {remote} = h.zoho_id FROM {} AS h
                  WHERE {} AND t.{remote} IS NULL AND h.id = t.{} AND h.zoho_id IS NOT NULL AND $2::bigint IS NOT NULL",
                quote::table(reference.head),
                Target::is_owned(child, "$1", "$2"),
                quote::identifier(&reference.local())
            );
            let fill = sqlx::query(quote::statement(sql)).bind(remote_id).bind(local_id);
            fill.execute(&mut *tx).await?;
        }
    }
    Ok(())
}
