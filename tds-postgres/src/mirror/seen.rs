//! The columns that say how old the values are that the source derives.
//!
//! These columns change with every read, even if the read shows no difference. They are therefore no part of the
//! comparison that decides whether a row is written.

use tds_core::{guard::SyncState, mirror::MirrorSchema, record::RecordId};
use time::OffsetDateTime;

use super::catalog::{Columns, Tables};
use crate::db::{quote, session::Tx, text::column};

/// The column of a head table with the time of the read that last showed the volatile columns.
pub(super) const VOLATILE_SEEN: &str = "balance_seen_at";
/// The column of a child table with the time of the read that last showed the rows.
pub(super) const ROWS_SEEN: &str = "synced_at";

/// The states to store, each with the state before, if there is one.
type States<'a> = Vec<(&'a RecordId, &'a SyncState, Option<&'a SyncState>)>;

/// Writes the times of the reads to the tables that have columns for them.
pub(super) async fn write(
    tx: &mut Tx,
    schema: &MirrorSchema,
    tables: &Tables,
    states: &States<'_>,
) -> Result<(), sqlx::Error> {
    let with = |table: &str, name: &str| tables.get(table).is_some_and(|columns| has(columns, name));
    if let Some(head) = schema.head.filter(|head| with(head, VOLATILE_SEEN)) {
        set(tx, head, "zoho_id", VOLATILE_SEEN, &moved(states, |state| state.volatile_seen)).await?;
    }
    // If a record has a head row, that row says when the record was synced.
    let children = schema.children.iter().filter(|_| schema.head.is_none());
    for child in children.filter(|child| with(child.table, ROWS_SEEN)) {
        set(tx, child.table, child.owner, ROWS_SEEN, &moved(states, |state| state.detail_seen)).await?;
    }
    Ok(())
}

/// Returns the times that moved.
fn moved<'a>(
    states: &States<'a>,
    seen: fn(&SyncState) -> Option<OffsetDateTime>,
) -> Vec<(&'a str, OffsetDateTime)> {
    let moved = |(id, next, before): &(&'a RecordId, &SyncState, Option<&SyncState>)| {
        let at = seen(next).filter(|at| before.and_then(seen) != Some(*at))?;
        Some((id.as_str(), at))
    };
    states.iter().filter_map(moved).collect()
}

async fn set(
    tx: &mut Tx,
    table: &str,
    owner: &str,
    name: &str,
    times: &[(&str, OffsetDateTime)],
) -> Result<(), sqlx::Error> {
    if times.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE {table} AS t SET {name} = n.seen FROM unnest($1::text[], $2::timestamptz[]) AS n(id, seen)
          WHERE t.{owner} = n.id AND t.{name} IS DISTINCT FROM n.seen",
        table = quote::table(table),
        name = quote::identifier(name),
        owner = quote::identifier(owner),
    );
    let query = sqlx::query(quote::statement(sql))
        .bind(column(times, |(id, _)| (*id).to_owned()))
        .bind(column(times, |(_, at)| *at));
    query.execute(tx).await.map(drop)
}

fn has(columns: &Columns, name: &str) -> bool {
    columns.iter().any(|column| column.name == name)
}
