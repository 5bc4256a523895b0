//! The queue, from the operators' side.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use sqlx::Row as _;
use time::OffsetDateTime;

use tds_core::{
    EntityType, ItemFilter, ItemId, ItemStatus, ItemView, Page, QueueOperator, QueueStats, Result,
};

use crate::{
    PgStore, actions,
    error::classify,
    item_row::{attempts_of, item_of, stats_of},
    page::{below, page, rows},
    prune,
    queue::entity_of,
    store::{repeat, seconds, storable},
};

const LIST: &str = "
SELECT * FROM tds_sync_queue q
 WHERE id < $1 AND ($2::bigint[] IS NULL OR id = ANY($2)) AND ($3::text IS NULL OR status = $3)
   AND ($4::text IS NULL OR entity_type = $4)
   AND ($5::text IS NULL OR strpos(lower(concat_ws(E'\\n', zoho_entity_id, error_message)), lower($5)) > 0)
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

/// What is in the queue is counted; of the archive there are counters.
const COUNTS: &str = "
SELECT entity_type, status, count(*) AS total FROM tds_queue_live GROUP BY entity_type, status
UNION ALL
SELECT entity_type, 'completed', sum(completed)::bigint FROM tds_queue_tally GROUP BY entity_type
";

/// One row per entity type, and one with the entity type '' for all of them.
const DELAYS: &str = "
WITH done AS (
  SELECT COALESCE(entity_type, '') AS entity_type, avg(delay)::double precision AS mean,
         percentile_disc(0.5) WITHIN GROUP (ORDER BY delay)::double precision AS p50,
         percentile_disc(0.99) WITHIN GROUP (ORDER BY delay)::double precision AS p99
    FROM (SELECT entity_type, extract(epoch FROM processing_completed_at - queued_at) AS delay FROM tds_queue_done
           WHERE processing_completed_at > now() - interval '24 hours') AS d
   GROUP BY GROUPING SETS ((), (entity_type))
), waiting AS (
  SELECT COALESCE(entity_type, '') AS entity_type,
         extract(epoch FROM now() - min(queued_at))::double precision AS oldest
    FROM tds_queue_live WHERE status IN ('pending', 'failed') AND run_at <= now()
   GROUP BY GROUPING SETS ((), (entity_type))
)
SELECT entity_type, mean, p50, p99, oldest FROM done FULL JOIN waiting USING (entity_type)
";

const PAUSE: &str = "
INSERT INTO tds_entity_controls AS c (entity_type, paused_at) VALUES ($1, CASE WHEN $2 THEN now() END)
ON CONFLICT (entity_type) DO UPDATE SET paused_at = CASE WHEN $2 THEN COALESCE(c.paused_at, now()) END
";

#[async_trait]
impl QueueOperator for PgStore {
    async fn list(&self, filter: &ItemFilter, limit: usize, cursor: Option<&str>) -> Result<Page<ItemView>> {
        let found = sqlx::query(LIST)
            .bind(below(cursor)?)
            .bind(ids_of(filter))
            .bind(filter.status.map(ItemStatus::as_str))
            .bind(filter.entity.as_ref().map(EntityType::as_str))
            .bind(filter.search.as_deref().map(storable))
            .bind(filter.older_than.map(seconds))
            .bind(rows(limit))
            .fetch_all(&self.database)
            .await;
        let doing = |error| classify(error, "listing queue items");
        let items = found.map_err(doing)?.iter().map(item_of).collect::<Result<Vec<_>, _>>();
        Ok(page(items.map_err(doing)?, limit, |item| item.id.0))
    }

    async fn get(&self, id: ItemId) -> Result<Option<ItemView>> {
        let read = async {
            let row = sqlx::query("SELECT * FROM tds_sync_queue WHERE id = $1");
            let Some(row) = row.bind(id.0).fetch_optional(&self.database).await? else { return Ok(None) };
            let mut item = item_of(&row)?;
            let payload = sqlx::query("SELECT payload FROM tds_queue_live WHERE id = $1");
            if let Some(row) = payload.bind(id.0).fetch_optional(&self.database).await? {
                let text: Option<String> = row.try_get("payload")?;
                // What is no JSON is shown as the text that it is.
                item.payload = text.map(|text| serde_json::from_str(&text).unwrap_or(text.into()));
            }
            let attempts = sqlx::query(ATTEMPTS).bind(id.0).fetch_all(&self.database).await?;
            item.attempts = Some(attempts_of(&attempts)?);
            Ok(Some(item))
        };
        read.await.map_err(|error| classify(error, "reading a queue item"))
    }

    async fn retry(&self, filter: &ItemFilter) -> Result<u64> {
        let affected = actions::retry(&self.database, filter)
            .await
            .map_err(|error| classify(error, "retrying queue items"))?;
        self.work.announce();
        Ok(affected)
    }

    async fn discard(&self, filter: &ItemFilter) -> Result<u64> {
        actions::discard(&self.database, filter)
            .await
            .map_err(|error| classify(error, "discarding queue items"))
    }

    async fn stats(&self) -> Result<QueueStats> {
        let read = async {
            let counts = sqlx::query(COUNTS).fetch_all(&self.database).await?;
            let delays = sqlx::query(DELAYS).fetch_all(&self.database).await?;
            stats_of(&counts, &delays)
        };
        read.await.map_err(|error| classify(error, "counting queue items"))
    }

    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()> {
        let database = &self.database;
        repeat(|| sqlx::query(PAUSE).bind(entity.as_str()).bind(paused).execute(database))
            .await
            .map_err(|error| classify(error, "pausing or resuming an entity type"))?;
        self.work.announce();
        Ok(())
    }

    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>> {
        let paused = "SELECT entity_type, paused_at FROM tds_entity_controls WHERE paused_at IS NOT NULL";
        let rows = sqlx::query(paused).fetch_all(&self.database).await;
        let doing = |error| classify(error, "reading which entity types are paused");
        let read = |row: &sqlx::postgres::PgRow| {
            Ok((entity_of(&row.try_get::<String, _>("entity_type")?)?, row.try_get("paused_at")?))
        };
        rows.map_err(doing)?.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(doing)
    }

    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        prune::prune(&self.database, age, dead_letters)
            .await
            .map_err(|error| classify(error, "deleting what is old"))
    }
}

/// The ids of a filter, for SQL.
pub(crate) fn ids_of(filter: &ItemFilter) -> Option<Vec<i64>> {
    filter.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect())
}
