//! The queue as the operators see it: lists, retry and discard.

use std::collections::BTreeMap;

use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;

use tds_core::{
    error::Result,
    inbox::InboxId,
    queue::{AttemptResult, AttemptView, ItemFilter, ItemId, ItemStatus, ItemView, Page},
    record::EntityType,
};

use super::{
    claim::work_of,
    fold::key_of,
    stats::{outcome_of, status_of},
};
use crate::{
    Database,
    db::{
        error::Doing as _,
        page::{below, page, rows},
        retry::{FOR_OPERATOR, repeat},
        text::{Query, entity_of, one_of, seconds, storable},
    },
};

const LIST: &str = "
SELECT * FROM tds_sync_queue q
 WHERE id < $1 AND ($2::bigint[] IS NULL OR id = ANY($2)) AND ($3::text IS NULL OR status = $3)
   AND ($4::text IS NULL OR entity_type = $4)
   AND ($5::text IS NULL
     OR strpos(lower(concat_ws(E'\\n', COALESCE(zoho_entity_id, entity_id), error_message)), lower($5)) > 0)
   AND ($6::double precision IS NULL OR queued_at <= now() - make_interval(secs => $6))
 ORDER BY id DESC LIMIT $7
";

const WORK: &str = "
SELECT version, recheck, payload, shape, pushed, observed_began, observed_ended FROM tds_queue_live WHERE id = $1
";

const ATTEMPTS: &str = "
SELECT attempt, started_at, ended_at, worker, result, error FROM tds_queue_attempts WHERE item_id = $1
UNION ALL
-- A success at the first attempt has no row of its own.
SELECT 1, processing_started_at, processing_completed_at, worker, 'completed', NULL FROM tds_queue_done d
 WHERE d.id = $1 AND d.retry_count = 0 AND d.outcome <> 'discarded' AND d.processing_started_at IS NOT NULL
   AND NOT EXISTS (SELECT FROM tds_queue_attempts a WHERE a.item_id = d.id AND a.result IN ('completed', 'dead_letter'))
 ORDER BY 3
";

const PAUSE: &str = "
INSERT INTO tds_entity_controls AS c (entity_type, paused_at) VALUES ($1, CASE WHEN $2 THEN now() END)
ON CONFLICT (entity_type) DO UPDATE SET paused_at = CASE WHEN $2 THEN COALESCE(c.paused_at, now()) END
";

/// The number of items of one transaction.
const BATCH: i64 = 500;

const MATCHING: &str = "
SELECT q.id FROM tds_queue_live q
 WHERE q.status = ANY($1::text[]) AND ($2::bigint[] IS NULL OR q.id = ANY($2))
   AND ($3::text IS NULL OR q.status = $3) AND ($4::text IS NULL OR q.entity_type = $4)
   AND ($5::text IS NULL
     OR strpos(lower(concat_ws(E'\\n', COALESCE(q.zoho_entity_id, q.entity_id), q.error_message)), lower($5)) > 0)
   AND ($6::double precision IS NULL OR q.queued_at <= now() - make_interval(secs => $6))
 ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id, q.id LIMIT $7 FOR UPDATE
";

/// Returns one page of items, newest first.
pub(crate) async fn list(
    database: &Database,
    filter: &ItemFilter,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<ItemView>> {
    let items = bind_filter(sqlx::query(LIST).bind(below(cursor)?), filter)
        .bind(rows(limit))
        .try_map(|row: PgRow| item_of(&row))
        .fetch_all(database)
        .await
        .doing("listing queue items")?;
    Ok(page(items, limit, |item| item.id.0))
}

/// Returns one item with its payload and its attempts.
pub(crate) async fn get(database: &Database, id: ItemId) -> Result<Option<ItemView>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM tds_sync_queue WHERE id = $1");
    let Some(row) = row.bind(id.0).fetch_optional(database).await? else { return Ok(None) };
    let mut item = item_of(&row)?;
    let work = sqlx::query(WORK).bind(id.0).fetch_optional(database).await?;
    item.work = work.as_ref().map(work_of).transpose()?;
    let payload =
        item.work.as_ref().and_then(|work| work.payload.as_ref()).map(|payload| payload.json.as_str());
    // A payload that is not JSON is shown as text.
    item.payload = payload.map(|text| serde_json::from_str(text).unwrap_or(text.into()));
    let attempts = sqlx::query(ATTEMPTS).bind(id.0).fetch_all(database).await?;
    item.attempts = Some(attempts_of(&attempts)?);
    Ok(Some(item))
}

/// Pauses or resumes the processing of an entity type.
pub(crate) async fn set_paused(
    database: &Database,
    entity: &EntityType,
    paused: bool,
) -> Result<(), sqlx::Error> {
    let pause = || sqlx::query(PAUSE).bind(entity.as_str()).bind(paused).execute(database);
    repeat(FOR_OPERATOR, pause).await.map(drop)
}

/// Returns the paused entity types, each with the time since when it is paused.
pub(crate) async fn paused(database: &Database) -> Result<BTreeMap<EntityType, OffsetDateTime>, sqlx::Error> {
    let paused = "SELECT entity_type, paused_at FROM tds_entity_controls WHERE paused_at IS NOT NULL";
    let paused = sqlx::query(paused)
        .try_map(|row: PgRow| Ok((entity_of(row.try_get("entity_type")?)?, row.try_get("paused_at")?)))
        .fetch_all(database)
        .await?;
    Ok(paused.into_iter().collect())
}

/// Binds the five parameters of a filter.
fn bind_filter<'q>(query: Query<'q>, filter: &ItemFilter) -> Query<'q> {
    query
        .bind(filter.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>()))
        .bind(filter.status.map(ItemStatus::as_str))
        .bind(filter.entity.as_ref().map(EntityType::as_str))
        .bind(filter.search.as_deref().map(storable))
        .bind(filter.older_than.map(seconds))
}

/// What an operator does with items.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// Dead letters and items that wait for a retry become due now.
    Retry,
    /// The items are given up.
    Discard,
}

impl Action {
    fn among(self) -> &'static [ItemStatus] {
        match self {
            Self::Retry => &ItemStatus::RETRYABLE,
            Self::Discard => &ItemStatus::DISCARDABLE,
        }
    }

    /// Returns the statement for locked items. The functions are in `sql/operator.sql`.
    fn statement(self) -> &'static str {
        match self {
            Self::Retry => "SELECT tds_retry_items($1::bigint[])",
            Self::Discard => "SELECT tds_discard_items($1::bigint[])",
        }
    }
}

/// Works in batches, and returns the number of items. Items that were processed no longer match the filter.
pub(crate) async fn all(
    database: &Database,
    filter: &ItemFilter,
    action: Action,
) -> Result<u64, sqlx::Error> {
    let mut affected: u64 = 0;
    loop {
        let done = repeat(FOR_OPERATOR, || one_batch(database, filter, action)).await?;
        affected += done;
        if done < BATCH.unsigned_abs() {
            return Ok(affected);
        }
    }
}

async fn one_batch(database: &Database, filter: &ItemFilter, action: Action) -> Result<u64, sqlx::Error> {
    let mut tx = database.begin().await?;
    let among: Vec<&str> = action.among().iter().map(|status| status.as_str()).collect();
    let matching = bind_filter(sqlx::query(MATCHING).bind(among), filter).bind(BATCH);
    let ids: Vec<i64> = matching.try_map(|row: PgRow| row.try_get("id")).fetch_all(&mut tx).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    sqlx::query(action.statement()).bind(&ids).execute(&mut tx).await?;
    tx.commit().await?;
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}

/// Reads a row of the view `tds_sync_queue`.
fn item_of(row: &PgRow) -> Result<ItemView, sqlx::Error> {
    let key = key_of(row)?;
    let retries: i32 = row.try_get("retry_count")?;
    Ok(ItemView {
        id: ItemId(row.try_get("id")?),
        inbox_event_id: row.try_get::<Option<i64>, _>("inbox_event_id")?.map(InboxId),
        entity_type: key.entity,
        entity_id: row.try_get("entity_id")?,
        direction: key.direction,
        record: key.id,
        priority: row.try_get("priority")?,
        status: status_of(row.try_get("status")?)?,
        outcome: outcome_of(row)?,
        retry_count: u32::try_from(retries).unwrap_or(0),
        error_message: row.try_get("error_message")?,
        queued_at: row.try_get("queued_at")?,
        processing_started_at: row.try_get("processing_started_at")?,
        processing_completed_at: row.try_get("processing_completed_at")?,
        run_at: row.try_get("run_at")?,
        payload: None,
        work: None,
        attempts: None,
    })
}

/// Reads the attempts of an item and numbers them in their order.
fn attempts_of(rows: &[PgRow]) -> Result<Vec<AttemptView>, sqlx::Error> {
    let read = |(number, row): (u32, &PgRow)| {
        Ok(AttemptView {
            attempt: number,
            started_at: row.try_get("started_at")?,
            ended_at: row.try_get("ended_at")?,
            worker: row.try_get("worker")?,
            result: one_of(
                AttemptResult::ALL,
                AttemptResult::as_str,
                "attempt result",
                row.try_get("result")?,
            )?,
            error: row.try_get("error")?,
        })
    };
    (1..).zip(rows).map(read).collect()
}
