//! Values that are written to the rows of a record: those in which the source won, and those that a person decided.

use serde_json::Value;
use tds_core::{mirror::Child, record::Fields};

use super::target::Target;
use crate::{
    Tx,
    db::{quote, text::storable_json},
    mirror::references,
};

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

/// Replaces the rows of a child table that belong to a record.
pub(super) async fn rows(
    tx: &mut Tx,
    target: &Target,
    child: &Child,
    (local_id, remote_id): (i64, Option<&str>),
    rows: &[Fields],
) -> Result<(), sqlx::Error> {
    let table = quote::table(child.table);
    let sql = format!(
        "DELETE FROM {table} AS t WHERE {} AND $2::bigint IS NOT NULL",
        Target::is_owned(child, "$1", "$2")
    );
    sqlx::query(quote::statement(sql)).bind(remote_id).bind(local_id).execute(&mut *tx).await?;
    let (mut into, mut from) = (Vec::new(), Vec::new());
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
    let sql = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb) AS r
          WHERE $3::bigint IS NOT NULL",
        into.join(", "),
        from.join(", ")
    );
    let values = Value::Array(rows.iter().cloned().map(Value::Object).collect());
    let insert = sqlx::query(quote::statement(sql)).bind(storable_json(&values).to_string());
    insert.bind(remote_id).bind(local_id).execute(tx).await.map(drop)
}

/// Fills in the ids at the source that the rows of a record lack, and the record's own id in its child rows.
/// `is_changed`: a program changed the column.
pub(super) async fn resolve_references(
    tx: &mut Tx,
    target: &Target,
    (local_id, remote_id): (i64, Option<&str>),
    is_changed: impl Fn(&str) -> bool,
) -> Result<(), sqlx::Error> {
    for reference in references::of(target.head) {
        let (remote, local) = (quote::identifier(&reference.remote()), quote::identifier(&reference.local()));
        let is_meant = is_changed(&reference.local()) && !is_changed(&reference.remote());
        let lacks = if is_meant { format!("IS DISTINCT FROM h.{}", "zoho_id") } else { "IS NULL".to_owned() };
        let sql = format!(
            "UPDATE {} AS t SET {remote} = h.zoho_id FROM {} AS h
              WHERE t.id = $1 AND h.id = t.{local} AND h.zoho_id IS NOT NULL AND t.{remote} {lacks}",
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
