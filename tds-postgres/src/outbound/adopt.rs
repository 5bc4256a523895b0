//! A record that the mirror stored as another row before its create was known to have succeeded: the local row stays, and
//! the other row is removed.

use tds_core::{outbound::Push, record::RecordId};

use super::target::Target;
use crate::{Tx, db::quote, mirror::references};

const STATE: &str = "SELECT FROM tds_sync_records WHERE entity_type = $1 AND zoho_id = $2 FOR UPDATE";

const MOVE_STATE: &str = "UPDATE tds_sync_records SET local_id = $3 WHERE entity_type = $1 AND zoho_id = $2";

/// What the local row gets of the other row: what the source sent, which is the last common state from here on, and
/// its times.
const OF_SOURCE: [&str; 4] = ["raw", "zoho_created_at", "zoho_modified_at", "synced_at"];

const CHANGED: &str = "
SELECT DISTINCT name FROM tds_outbox, unnest(fields) AS name
 WHERE entity_type = $1 AND local_id = $2 AND status IN ('pending', 'conflict')
   AND captured_at > (SELECT coalesce(max(l.captured_at), '-infinity') FROM tds_outbox AS l
                       WHERE l.entity_type = $1 AND l.local_id = $3 AND l.status IN ('pending', 'conflict'))
";

/// Writes of the transaction count as those of `$1` from here on.
const AS: &str = "SELECT set_config('tds.origin', $1, true)";

const DISCARD: &str = "
UPDATE tds_outbox SET status = 'discarded', relayed = true, settled_at = clock_timestamp(),
  note = 'the row was a second copy of a local row, which stays: of two changes of its columns, the later one counts'
 WHERE entity_type = $1 AND local_id = $2 AND status IN ('pending', 'conflict')
";

/// Locks the state and the head rows of a record. Returns the id of the other row, if there is one.
pub(super) async fn lock(
    tx: &mut Tx,
    target: &Target,
    push: &Push,
    id: &RecordId,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query(STATE).bind(push.entity.as_str()).bind(id.as_str()).execute(&mut *tx).await?;
    let sql = format!(
        "SELECT id FROM {} WHERE zoho_id = $1 OR id = $2 ORDER BY id FOR UPDATE",
        quote::table(target.head)
    );
    let rows = sqlx::query_scalar(quote::statement(sql)).bind(id.as_str()).bind(push.local_id);
    let rows: Vec<i64> = rows.fetch_all(tx).await?;
    // A program may have deleted the local row in the meantime.
    Ok(rows.iter().copied().find(|row| *row != push.local_id && rows.contains(&push.local_id)))
}

/// Removes the other row with its child rows. References to it lead to the local row.
pub(super) async fn replace(
    tx: &mut Tx,
    target: &Target,
    push: &Push,
    id: &RecordId,
    other: i64,
) -> Result<(), sqlx::Error> {
    for child in target.children {
        let own = Target::owner(child).map_or_else(String::new, |reference| {
            format!(" AND {} IS DISTINCT FROM $2", quote::identifier(&reference.local()))
        });
        let sql = format!(
            "DELETE FROM {} WHERE {} = $1 AND $2::bigint IS NOT NULL{own}",
            quote::table(child.table),
            quote::identifier(child.owner)
        );
        let delete = sqlx::query(quote::statement(sql)).bind(id.as_str()).bind(push.local_id);
        delete.execute(&mut *tx).await?;
    }
    for reference in references::to_rows_of(target.head) {
        let local = quote::identifier(&reference.local());
        let sql = format!(
            "UPDATE {} SET {local} = $3 WHERE {local} = $2 AND ({remote} = $1 OR {remote} IS NULL)",
            quote::table(reference.table),
            remote = quote::identifier(&reference.remote()),
        );
        let lead = sqlx::query(quote::statement(sql)).bind(id.as_str()).bind(other).bind(push.local_id);
        lead.execute(&mut *tx).await?;
    }
    let table = quote::table(target.head);
    let copied = OF_SOURCE.iter().filter(|name| target.has(name)).map(|name| format!("{name} = o.{name}"));
    let copied: Vec<String> = copied.collect();
    if !copied.is_empty() {
        let sql = format!(
            "UPDATE {table} AS t SET {} FROM {table} AS o WHERE t.id = $1 AND o.id = $2",
            copied.join(", ")
        );
        sqlx::query(quote::statement(sql)).bind(push.local_id).bind(other).execute(&mut *tx).await?;
    }
    move_changes(tx, target, push, other).await?;
    let sql = format!("DELETE FROM {table} WHERE id = $1");
    sqlx::query(quote::statement(sql)).bind(other).execute(&mut *tx).await?;
    sqlx::query(DISCARD).bind(push.entity.as_str()).bind(other).execute(&mut *tx).await?;
    let state = sqlx::query(MOVE_STATE).bind(push.entity.as_str()).bind(id.as_str()).bind(push.local_id);
    state.execute(tx).await.map(drop)
}

/// Changes the columns of the local row that programs changed in the other row since, as a program would.
async fn move_changes(tx: &mut Tx, target: &Target, push: &Push, other: i64) -> Result<(), sqlx::Error> {
    let changed = sqlx::query_scalar(CHANGED).bind(push.entity.as_str()).bind(other).bind(push.local_id);
    let changed: Vec<String> = changed.fetch_all(&mut *tx).await?;
    let columns = target.columns().iter().filter(|column| changed.contains(&column.name));
    let set = columns.map(|column| format!("{0} = o.{0}", quote::identifier(&column.name)));
    let set = set.collect::<Vec<_>>().join(", ");
    if set.is_empty() {
        return Ok(());
    }
    let table = quote::table(target.head);
    let sql = format!("UPDATE {table} AS t SET {set} FROM {table} AS o WHERE t.id = $1 AND o.id = $2");
    let engine: String =
        sqlx::query_scalar("SELECT current_setting('tds.origin')").fetch_one(&mut *tx).await?;
    sqlx::query(AS).bind("program").execute(&mut *tx).await?;
    sqlx::query(quote::statement(sql)).bind(push.local_id).bind(other).execute(&mut *tx).await?;
    sqlx::query(AS).bind(engine).execute(tx).await.map(drop)
}
