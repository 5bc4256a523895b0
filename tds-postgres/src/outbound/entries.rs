//! The entries of the outbox as operators see them.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};
use tds_core::{
    error::Result,
    mirror::FieldDifference,
    outbound::{EntryStatus, Operation, OutboxEntry, OutboxFilter, OutboxId},
    queue::{ItemId, Page},
    record::{EntityType, RecordId},
};

use crate::{
    Database,
    db::{
        error::Doing as _,
        page::{below, page, rows},
        text::{entity_of, one_of},
    },
};

// Two partial indexes have the live item and the dead letters of a record. A change that ended has no item any more.
const LIST: &str = "
SELECT o.*, coalesce(l.zoho_id, o.zoho_id) AS remote_id, l.in_doubt_since IS NOT NULL AS in_doubt, q.item,
       q.item_status, q.retry_count, q.error_message
  FROM (SELECT * FROM tds_outbox
         WHERE id < $1 AND ($2::bigint IS NULL OR id = $2) AND ($3::text IS NULL OR status = $3)
           AND ($4::text IS NULL OR entity_type = $4)
         ORDER BY id DESC LIMIT $5) AS o
  LEFT JOIN tds_links AS l ON l.entity_type = o.entity_type AND l.local_id = o.local_id
  LEFT JOIN LATERAL (
    SELECT i.* FROM (
      SELECT 0 AS place, id AS item, status AS item_status, retry_count, error_message FROM tds_queue_live
       WHERE entity_type = o.entity_type AND COALESCE(zoho_entity_id, entity_id) = o.local_id::text
         AND direction = 'outbound' AND dead_lettered_at IS NULL
      UNION ALL
      SELECT 1, id, status, retry_count, error_message FROM tds_queue_live
       WHERE entity_type = o.entity_type AND COALESCE(zoho_entity_id, entity_id) = o.local_id::text
         AND direction = 'outbound' AND dead_lettered_at IS NOT NULL) AS i
     ORDER BY i.place, i.item DESC LIMIT 1) AS q ON o.status IN ('pending', 'conflict')
 ORDER BY o.id DESC
";

/// Returns one page of entries, newest first.
pub(super) async fn list(
    database: &Database,
    filter: &OutboxFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<OutboxEntry>> {
    let found = sqlx::query(LIST)
        .bind(below(cursor)?)
        .bind(None::<i64>)
        .bind(filter.status.map(EntryStatus::as_str))
        .bind(filter.entity.as_ref().map(EntityType::as_str))
        .bind(rows(limit))
        .try_map(|row: PgRow| entry_of(&row))
        .fetch_all(database)
        .await
        .doing("listing local changes")?;
    Ok(page(found, limit, |entry| entry.id.0))
}

/// Returns one entry.
pub(super) async fn get(database: &Database, id: OutboxId) -> Result<Option<OutboxEntry>, sqlx::Error> {
    sqlx::query(LIST)
        .bind(i64::MAX)
        .bind(id.0)
        .bind(None::<&str>)
        .bind(None::<&str>)
        .bind(1_i64)
        .try_map(|row: PgRow| entry_of(&row))
        .fetch_optional(database)
        .await
}

fn entry_of(row: &PgRow) -> Result<OutboxEntry, sqlx::Error> {
    let fields: Option<Vec<String>> = row.try_get("fields")?;
    let attempts: Option<i32> = row.try_get("retry_count")?;
    Ok(OutboxEntry {
        id: OutboxId(row.try_get("id")?),
        entity: entity_of(row.try_get("entity_type")?)?,
        local_id: row.try_get("local_id")?,
        remote_id: row.try_get::<Option<String>, _>("remote_id")?.map(RecordId::new),
        operation: one_of(Operation::ALL, Operation::as_str, "operation", row.try_get("operation")?)?,
        fields: fields.map(BTreeSet::from_iter),
        status: one_of(EntryStatus::ALL, EntryStatus::as_str, "status", row.try_get("status")?)?,
        captured_at: row.try_get("captured_at")?,
        settled_at: row.try_get("settled_at")?,
        item: row.try_get::<Option<i64>, _>("item")?.map(ItemId),
        item_status: row.try_get("item_status")?,
        attempts: attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(0),
        error: row.try_get("error_message")?,
        in_doubt: row.try_get("in_doubt")?,
        differences: row.try_get::<Option<Json<Vec<Value>>>, _>("differences")?.map_or_else(Vec::new, read),
        note: row.try_get("note")?,
    })
}

/// Reads the column `differences`.
fn read(Json(stored): Json<Vec<Value>>) -> Vec<FieldDifference> {
    let one = |mut stored: Value| {
        let mut take = |name: &str| stored.get_mut(name).map(Value::take).unwrap_or_default();
        FieldDifference {
            field: take("field").as_str().unwrap_or_default().to_owned(),
            source: take("zoho"),
            target: take("erp"),
        }
    };
    stored.into_iter().map(one).collect()
}
