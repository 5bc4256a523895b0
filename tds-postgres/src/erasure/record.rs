//! The record itself: its rows, its state, its work and its local changes.

use tds_core::{mirror::MirrorSchema, privacy::ErasedCounts};

use super::{documents::Documents, files};
use crate::{
    Tx,
    db::quote::{self, identifier},
};

/// A record as one entity type shows it.
pub(super) struct Shown<'a> {
    pub(super) schema: &'a MirrorSchema,
    /// The id of the head row, if there is one.
    pub(super) local_id: Option<i64>,
    /// The tables of documents that name such records.
    pub(super) documents: Vec<Documents>,
}

/// Returns the id of the head row. It stays the same only while the lock of the entity type is held.
pub(super) async fn local_id(
    tx: &mut Tx,
    schema: &MirrorSchema,
    id: &str,
) -> Result<Option<i64>, sqlx::Error> {
    let Some(head) = schema.head else { return Ok(None) };
    let select = format!("SELECT id FROM {} WHERE zoho_id = $1", quote::table(head));
    sqlx::query_scalar(quote::statement(select)).bind(id).fetch_optional(tx).await
}

/// The columns of a head row that are emptied. The row remains as a tombstone, so that documents still refer to something.
const EMPTIED: &str = "
attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
   AND NOT attnotnull AND attname NOT IN ('id', 'zoho_id', 'synced_at', 'deleted_at')
 ORDER BY attnum
";

/// Statements with the entity type as `$1` and the id at the source as `$2`.
const STATE: &str = "
UPDATE tds_sync_records SET list_hash = NULL, detail_hash = NULL, volatile_hash = NULL, list_spells = NULL, suspect = NULL,
  moves = NULL, deleted_at = coalesce(deleted_at, now())
 WHERE entity_type = $1 AND zoho_id = $2
";
const FINDINGS: &str = "
UPDATE tds_verify_findings f SET fields = '[]' FROM tds_sync_runs r
 WHERE r.id = f.run_id AND r.entity_type = $1 AND f.zoho_id = $2
";
/// The examples of the checks of money that name the record, by its id. They say its name, too.
const EXAMPLES: &str = "
UPDATE tds_verifications AS v SET money = (
  SELECT jsonb_agg(jsonb_set(m.checked, '{examples}', COALESCE((
           SELECT jsonb_agg(x.example ORDER BY x.n)
             FROM jsonb_array_elements_text(m.checked -> 'examples') WITH ORDINALITY AS x (example, n)
            WHERE strpos(x.example, $1) = 0), '[]'), false) ORDER BY m.n)
    FROM jsonb_array_elements(v.money) WITH ORDINALITY AS m (checked, n))
 WHERE strpos(v.money::text, $1) > 0
";
/// Statements with the entity type as `$1`, the id at the source as `$2` and the local id as `$3`.
const CHANGES: [&str; 3] = [
    "UPDATE tds_outbox SET differences = NULL, note = 'erased', relayed = true, conflict_id = NULL,
       status = CASE WHEN status IN ('pending', 'conflict') THEN 'discarded' ELSE status END,
       settled_at = coalesce(settled_at, clock_timestamp())
      WHERE entity_type = $1 AND (local_id = $3 OR zoho_id = $2)",
    "UPDATE tds_links SET earlier = DEFAULT, kept = DEFAULT, sent = DEFAULT
      WHERE entity_type = $1 AND (local_id = $3 OR zoho_id = $2)",
    "DELETE FROM tds_conflicts WHERE entity_type = $1 AND (local_id = $3 OR zoho_id = $2)",
];

/// Erases a record, and counts what was erased.
pub(super) async fn erase(
    tx: &mut Tx,
    schema: &MirrorSchema,
    id: &str,
    local_id: Option<i64>,
    counts: &mut ErasedCounts,
) -> Result<(), sqlx::Error> {
    let entity = schema.entity.as_str();
    // The state comes first: its lock keeps out a batch that is about to write the record.
    sqlx::query(STATE).bind(entity).bind(id).execute(&mut *tx).await?;
    if let Some(head) = schema.head {
        counts.rows += blank(tx, head, id).await?;
    }
    for child in schema.children {
        let delete =
            format!("DELETE FROM {} WHERE {} = $1", quote::table(child.table), identifier(child.owner));
        sqlx::query(quote::statement(delete)).bind(id).execute(&mut *tx).await?;
    }
    counts.files += files::leave(tx, schema, id).await?;
    counts.findings += sqlx::query(FINDINGS).bind(entity).bind(id).execute(&mut *tx).await?.rows_affected();
    counts.findings += sqlx::query(EXAMPLES).bind(id).execute(&mut *tx).await?.rows_affected();
    for statement in CHANGES {
        let change = sqlx::query(statement).bind(entity).bind(id).bind(local_id);
        counts.changes += change.execute(&mut *tx).await?.rows_affected();
    }
    Ok(())
}

/// Empties a head row.
async fn blank(tx: &mut Tx, head: &str, id: &str) -> Result<u64, sqlx::Error> {
    let table = quote::table(head);
    let select = format!(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = {} AND {EMPTIED}",
        quote::regclass(head)
    );
    let columns: Vec<String> = sqlx::query_scalar(quote::statement(select)).fetch_all(&mut *tx).await?;
    let empty = columns.iter().map(|name| format!("{} = NULL", identifier(name)));
    let mut sets: Vec<String> = empty.collect();
    sets.push("deleted_at = coalesce(deleted_at, now())".to_owned());
    let update = format!("UPDATE {table} SET {} WHERE zoho_id = $1", sets.join(", "));
    Ok(sqlx::query(quote::statement(update)).bind(id).execute(tx).await?.rows_affected())
}
