//! The queue as the operators see it: lists, retry and discard.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;

use tds_core::{
    error::Result,
    inbox::{EventStatus, InboxId},
    queue::{
        AttemptResult, AttemptView, ItemFilter, ItemId, ItemStatus, ItemView, Lane, Outcome, Page,
        QueueMotion, QueueOperator, QueueStats,
    },
    record::EntityType,
};

use super::{
    claim::work_of,
    events::{self, Completions},
    fold::{Batch, key_of},
    settle::{end_items, move_items},
    stats::{self, outcome_of, status_of},
};
use crate::{
    Database, PgStore, Tx,
    db::{
        error::{Doing as _, of_postgres},
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
SELECT q.* FROM tds_queue_live q
 WHERE q.status = ANY($1::text[]) AND ($2::bigint[] IS NULL OR q.id = ANY($2))
   AND ($3::text IS NULL OR q.status = $3) AND ($4::text IS NULL OR q.entity_type = $4)
   AND ($5::text IS NULL
     OR strpos(lower(concat_ws(E'\\n', COALESCE(q.zoho_entity_id, q.entity_id), q.error_message)), lower($5)) > 0)
   AND ($6::double precision IS NULL OR q.queued_at <= now() - make_interval(secs => $6))
 ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id, q.id LIMIT $7 FOR UPDATE
";

const DUE_NOW: &str = "
UPDATE tds_queue_live SET status = 'pending', retry_count = 0, run_at = clock_timestamp()
 WHERE id = ANY($1::bigint[]) AND status = 'failed'
";

// The newest dead letter of a key becomes live again, unless the key has another live item.
const REVIVE: &str = "
UPDATE tds_queue_live q SET status = 'pending', retry_count = 0, run_at = clock_timestamp(), dead_lettered_at = NULL
 WHERE q.id IN (SELECT DISTINCT ON (d.entity_type, d.zoho_entity_id, d.entity_id) d.id FROM tds_queue_live d
                 WHERE d.id = ANY($1::bigint[]) AND d.dead_lettered_at IS NOT NULL
                 ORDER BY d.entity_type, d.zoho_entity_id, d.entity_id, d.id DESC)
   AND NOT EXISTS (SELECT FROM tds_queue_live o
                    WHERE o.dead_lettered_at IS NULL AND o.entity_type = q.entity_type AND o.direction = q.direction
                      AND COALESCE(o.zoho_entity_id, o.entity_id) = COALESCE(q.zoho_entity_id, q.entity_id))
RETURNING q.id
";

#[async_trait]
impl QueueOperator for PgStore {
    async fn list(&self, filter: &ItemFilter, limit: usize, cursor: Option<&str>) -> Result<Page<ItemView>> {
        let items = bind_filter(sqlx::query(LIST).bind(below(cursor)?), filter)
            .bind(rows(limit))
            .try_map(|row: PgRow| item_of(&row))
            .fetch_all(&self.database)
            .await
            .doing("listing queue items")?;
        Ok(page(items, limit, |item| item.id.0))
    }

    async fn get(&self, id: ItemId) -> Result<Option<ItemView>> {
        let read = async {
            let row = sqlx::query("SELECT * FROM tds_sync_queue WHERE id = $1");
            let Some(row) = row.bind(id.0).fetch_optional(&self.database).await? else { return Ok(None) };
            let mut item = item_of(&row)?;
            let payload = sqlx::query_scalar("SELECT payload FROM tds_queue_live WHERE id = $1");
            let payload: Option<Option<String>> = payload.bind(id.0).fetch_optional(&self.database).await?;
            // A payload that is not JSON is shown as text.
            item.payload = payload.flatten().map(|text| serde_json::from_str(&text).unwrap_or(text.into()));
            let attempts = sqlx::query(ATTEMPTS).bind(id.0).fetch_all(&self.database).await?;
            item.attempts = Some(attempts_of(&attempts)?);
            Ok::<_, sqlx::Error>(Some(item))
        };
        read.await.doing("reading a queue item")
    }

    async fn retry(&self, filter: &ItemFilter) -> Result<u64> {
        let affected = all(&self.database, filter, Action::Retry).await.doing("retrying queue items")?;
        self.work.announce();
        Ok(affected)
    }

    async fn discard(&self, filter: &ItemFilter) -> Result<u64> {
        all(&self.database, filter, Action::Discard).await.doing("discarding queue items")
    }

    async fn stats(&self) -> Result<QueueStats> {
        stats::stats(&self.database).await.doing("counting queue items")
    }

    async fn motion(&self) -> Result<QueueMotion> {
        stats::motion(&self.database).await.doing("checking whether the queue moves")
    }

    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()> {
        let database = &self.database;
        repeat(FOR_OPERATOR, || sqlx::query(PAUSE).bind(entity.as_str()).bind(paused).execute(database))
            .await
            .doing("pausing or resuming an entity type")?;
        self.work.announce();
        Ok(())
    }

    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>> {
        let paused = "SELECT entity_type, paused_at FROM tds_entity_controls WHERE paused_at IS NOT NULL";
        let paused = sqlx::query(paused)
            .try_map(|row: PgRow| Ok((entity_of(row.try_get("entity_type")?)?, row.try_get("paused_at")?)))
            .fetch_all(&self.database)
            .await
            .doing("reading which entity types are paused")?;
        Ok(paused.into_iter().collect())
    }
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
enum Action {
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
}

/// Works in batches, and returns the number of items. Items that were processed no longer match the filter.
async fn all(database: &Database, filter: &ItemFilter, action: Action) -> Result<u64, sqlx::Error> {
    let mut affected: u64 = 0;
    let mut collisions = 0;
    loop {
        let done = match repeat(FOR_OPERATOR, || one_batch(database, filter, action)).await {
            // Work of the record was queued between the read and the write, so the batch is read again.
            Err(error) if collisions < 20 && is_collision(&error) => {
                collisions += 1;
                continue;
            }
            result => result?,
        };
        affected += done;
        if done < BATCH.unsigned_abs() {
            return Ok(affected);
        }
    }
}

fn is_collision(error: &sqlx::Error) -> bool {
    of_postgres(error).is_some_and(|cause| cause.constraint() == Some("tds_queue_record"))
}

async fn one_batch(database: &Database, filter: &ItemFilter, action: Action) -> Result<u64, sqlx::Error> {
    let mut tx = database.begin().await?;
    let among: Vec<&str> = action.among().iter().map(|status| status.as_str()).collect();
    let matching = bind_filter(sqlx::query(MATCHING).bind(among), filter).bind(BATCH);
    let rows = matching.fetch_all(&mut tx).await?;
    let ids = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<i64>, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut endings = Completions::default();
    match action {
        Action::Retry => retry_items(&mut tx, &rows, &ids, &mut endings).await?,
        Action::Discard => end_items(&mut tx, &ids, Outcome::Discarded, &mut endings).await?,
    }
    endings.write(&mut tx).await?;
    tx.commit().await?;
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}

async fn retry_items(
    tx: &mut Tx,
    rows: &[PgRow],
    ids: &[i64],
    endings: &mut Completions,
) -> Result<(), sqlx::Error> {
    sqlx::query(DUE_NOW).bind(ids).execute(&mut *tx).await?;
    let revived: Vec<i64> = sqlx::query_scalar(REVIVE).bind(ids).fetch_all(&mut *tx).await?;
    events::reopen_events(tx, &revived, EventStatus::Failed).await?;

    // The other dead letters are folded into the live item of their record.
    let mut batch = Batch::default();
    let mut targets = BTreeMap::new();
    for row in rows {
        let (id, status) = (row.try_get("id")?, status_of(row.try_get("status")?)?);
        if status != ItemStatus::DeadLetter || revived.contains(&id) {
            continue;
        }
        let key = key_of(row)?;
        let lane = Lane::from_priority(row.try_get("priority")?);
        batch.add(key.clone(), lane, &work_of(row)?, None);
        targets.insert(id, key);
    }
    if targets.is_empty() {
        return Ok(());
    }
    let moved: Vec<i64> = targets.keys().copied().collect();
    events::reopen_events(tx, &moved, EventStatus::Failed).await?;
    move_items(tx, &batch, &targets, endings).await
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
