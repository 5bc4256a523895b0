//! Payloads of items, and texts that quote what a record says: errors of items and events, logs of runs, notes.

use futures_util::TryStreamExt as _;
use tds_core::privacy::names;

use super::concerned::{CONCERNED, Concerned, names_one};
use crate::{Tx, db::quote::statement};

/// Payloads that contain the digits of the id, at least as a part of a longer id.
const PAYLOADS: &str = "
SELECT entity_type, zoho_entity_id, payload FROM tds_queue_live WHERE strpos(payload, $1) > 0
UNION ALL SELECT entity_type, zoho_entity_id, payload FROM tds_run_kept WHERE strpos(payload, $1) > 0
";

/// The items of the records. The record of outbound work is named by its local id.
const OWN_ITEMS: &str = "
  (direction = 'inbound' AND (entity_type, zoho_entity_id) IN (SELECT c.entity_type, c.zoho_id FROM c)
   OR direction = 'outbound' AND (entity_type, entity_id) IN (SELECT c.entity_type, c.local_id::text FROM c))
";

/// What took the place of the log of a run that named an erased record.
const REMOVED: &str = "the text was removed, because it named a record that was erased";

/// Adds the records whose payloads name the person.
pub(super) async fn search(tx: &mut Tx, id: &str, concerned: &mut Concerned) -> Result<(), sqlx::Error> {
    let mut payloads = sqlx::query_as(PAYLOADS).bind(id).fetch(tx);
    while let Some((entity, record, payload)) = payloads.try_next().await? {
        let (entity, payload): (String, String) = (entity, payload);
        if names(payload.as_bytes(), id) {
            concerned.add(&entity, record, None);
        }
    }
    Ok(())
}

/// Removes payloads and errors of items. A record without a payload is read from the source, and the mirror ignores the
/// read if the record was erased. Returns the number of items.
pub(super) async fn erase_items(tx: &mut Tx, concerned: &Concerned) -> Result<u64, sqlx::Error> {
    // Attempts are found by their items, so they come first.
    let attempts = format!(
        "{CONCERNED} UPDATE tds_queue_attempts SET error = NULL WHERE error IS NOT NULL AND item_id IN (
           SELECT id FROM tds_queue_live WHERE {OWN_ITEMS}
           UNION ALL SELECT id FROM tds_queue_done WHERE {OWN_ITEMS})"
    );
    let done = format!(
        "{CONCERNED} UPDATE tds_queue_done SET error_message = NULL WHERE error_message IS NOT NULL AND {OWN_ITEMS}"
    );
    let live = format!(
        "{CONCERNED} UPDATE tds_queue_live SET payload = NULL, shape = NULL, pushed = NULL, error_message = NULL
          WHERE {OWN_ITEMS}"
    );
    let kept = format!(
        "{CONCERNED} UPDATE tds_run_kept SET payload = NULL, shape = NULL, pushed = NULL
          WHERE payload IS NOT NULL AND (entity_type, zoho_entity_id) IN (SELECT c.entity_type, c.zoho_id FROM c)"
    );
    for text in [attempts, done] {
        execute(tx, text, concerned).await?;
    }
    Ok(execute(tx, live, concerned).await? + execute(tx, kept, concerned).await?)
}

/// Removes the errors of findings, the notes of local changes, and the logs of runs that name one of the records.
pub(super) async fn erase_notes(tx: &mut Tx, concerned: &Concerned) -> Result<(), sqlx::Error> {
    let findings = format!(
        "{CONCERNED} UPDATE tds_verify_findings AS f SET error = NULL FROM tds_sync_runs AS r
          WHERE r.id = f.run_id AND f.error IS NOT NULL
            AND (r.entity_type, f.zoho_id) IN (SELECT c.entity_type, c.zoho_id FROM c)"
    );
    // A refusal of the source may quote a value.
    let notes = format!(
        "{CONCERNED} UPDATE tds_outbox SET note = 'erased' WHERE note IS NOT NULL
            AND ((entity_type, local_id) IN (SELECT c.entity_type, c.local_id FROM c)
              OR (entity_type, zoho_id) IN (SELECT c.entity_type, c.zoho_id FROM c))"
    );
    for text in [findings, notes] {
        execute(tx, text, concerned).await?;
    }
    let logs = "SELECT id, error_log FROM tds_sync_runs WHERE error_log IS NOT NULL";
    let logs: Vec<(i64, String)> = sqlx::query_as(logs).fetch_all(&mut *tx).await?;
    let ids = concerned.known_ids();
    let named: Vec<i64> =
        logs.into_iter().filter(|(_, log)| names_one(&ids, log)).map(|(run, _)| run).collect();
    let update = sqlx::query("UPDATE tds_sync_runs SET error_log = $2 WHERE id = ANY($1)");
    update.bind(named).bind(REMOVED).execute(tx).await.map(drop)
}

async fn execute(tx: &mut Tx, text: String, concerned: &Concerned) -> Result<u64, sqlx::Error> {
    let update = sqlx::query(statement(text));
    let update = update.bind(&concerned.entities).bind(&concerned.ids).bind(&concerned.local_ids);
    Ok(update.execute(tx).await?.rows_affected())
}
