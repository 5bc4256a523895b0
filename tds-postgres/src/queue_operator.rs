//! The queue, from the operators' side.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;

use tds_core::{
    error::Result,
    queue::{
        Deferred, Healed, HeldUp, ItemFilter, ItemId, ItemStatus, ItemView, Lane, NeedsAttention, Page,
        QueueMotion, QueueOperator, QueueStats,
    },
    record::EntityType,
};

use crate::{
    PgStore, actions,
    error::classify,
    heal,
    item_row::{attempts_of, item_of, stats_of},
    page::{below, page, rows},
    prune,
    queue::entity_of,
    store::{repeat_for_operator, seconds, storable},
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
/// What a process had in work when it died waits as well, from the end of its lease on.
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
    FROM tds_queue_live
   WHERE status IN ('pending', 'failed') OR status = 'processing' AND lease_expires_at <= now()
   GROUP BY GROUPING SETS ((), (entity_type))
)
SELECT entity_type, mean, p50, p99, oldest FROM done FULL JOIN waiting USING (entity_type)
";

/// What waits for later or for a person, and the largest group of items that wait for the same: numbers in the texts are
/// left aside, for they tell how long each of them waits.
const DEFERRED: &str = "
WITH groups AS (
  SELECT k.entity_type AS paused, count(*) AS size, max(q.run_at) FILTER (WHERE q.run_at > now()) AS until,
         translate(CASE WHEN k.entity_type IS NULL THEN COALESCE(q.error_message, '') ELSE '' END, '0123456789', '')
           COLLATE \"C\" AS alike,
         min(CASE WHEN k.entity_type IS NULL THEN COALESCE(q.error_message, '') ELSE '' END COLLATE \"C\") AS text
    FROM tds_queue_live q
    LEFT JOIN tds_entity_controls k ON k.entity_type = q.entity_type AND k.paused_at IS NOT NULL
   WHERE (q.status IN ('pending', 'failed') OR q.status = 'processing' AND q.lease_expires_at <= now())
     AND (q.run_at > now() OR k.entity_type IS NOT NULL)
   GROUP BY 1, 4)
SELECT paused, text, sum(size) OVER ()::bigint AS count, max(until) OVER () AS until FROM groups
 ORDER BY size DESC, COALESCE(paused, ''), alike LIMIT 1
";

/// The item that is due longest is the first of its lane in the index.
const OVERDUE: &str = "
SELECT extract(epoch FROM now() - min(due.since))::double precision AS overdue FROM unnest($1::smallint[]) AS l(priority)
 CROSS JOIN LATERAL (
  SELECT GREATEST(q.run_at, q.lease_expires_at) AS since FROM tds_queue_live q
   WHERE q.dead_lettered_at IS NULL AND q.priority = l.priority AND q.run_at <= now()
     AND (q.status <> 'processing' OR q.lease_expires_at <= now())
     AND q.entity_type <> ALL (ARRAY(SELECT k.entity_type FROM tds_entity_controls k WHERE k.paused_at IS NOT NULL))
   ORDER BY q.run_at, q.id LIMIT 1) AS due
";

const WORKED_ON: &str = "
SELECT EXISTS (SELECT FROM tds_queue_done WHERE processing_completed_at > now() - interval '2 minutes')
    OR EXISTS (SELECT FROM tds_queue_live WHERE status = 'processing' AND lease_expires_at > now()) AS worked_on
";

/// The oldest of the urgent items that wait although none of their attempts failed.
const HELD_UP: &str = "
SELECT extract(epoch FROM now() - queued_at)::double precision AS age, error_message, run_at FROM tds_queue_live
 WHERE dead_lettered_at IS NULL AND priority <= $1 AND status = 'pending' AND run_at > now() AND error_message IS NOT NULL
   AND entity_type NOT IN (SELECT entity_type FROM tds_entity_controls WHERE paused_at IS NOT NULL)
 ORDER BY queued_at, id LIMIT 1
";

const WAITING_PAUSED: &str = "
SELECT q.entity_type, count(*) AS waiting FROM tds_queue_live q
  JOIN tds_entity_controls k ON k.entity_type = q.entity_type AND k.paused_at IS NOT NULL
 WHERE q.status IN ('pending', 'failed') OR q.status = 'processing' AND q.lease_expires_at <= now()
 GROUP BY q.entity_type
";

/// Unparsed events are counted by the index of failed ones: those of dead letters still wait for their items. Deletions
/// are held by the newest full run of an entity type that came to its end: a later list decided anew.
const ATTENTION: &str = "
SELECT (SELECT count(*) FROM tds_inbox_events WHERE status = 'failed' AND open_items <= 0 AND outcome IS NULL) AS unparsed,
       (SELECT COALESCE(sum(held), 0)::bigint FROM (
          SELECT DISTINCT ON (entity_type) cardinality(held_ids) AS held FROM tds_sync_runs
           WHERE run_type = 'full' AND status IN ('completed', 'completed_with_errors')
           ORDER BY entity_type, id DESC) AS newest) AS held
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
            let attention = sqlx::query(ATTENTION).fetch_one(&self.database).await?;
            let mut stats = stats_of(&counts, &delays)?;
            stats.deferred = self.deferred().await?;
            stats.needs_attention = NeedsAttention {
                dead_letters: stats.queue.dead_letter,
                unparsed_events: attention.try_get("unparsed")?,
                held_deletions: attention.try_get("held")?,
                ..NeedsAttention::default()
            };
            Ok(stats)
        };
        read.await.map_err(|error| classify(error, "counting queue items"))
    }

    async fn motion(&self) -> Result<QueueMotion> {
        let read = async {
            let lanes: Vec<i16> = Lane::ALL.into_iter().map(Lane::priority).collect();
            let overdue = sqlx::query(OVERDUE).bind(lanes).fetch_one(&self.database).await?;
            let worked_on = sqlx::query(WORKED_ON).fetch_one(&self.database).await?;
            let held_up = sqlx::query(HELD_UP).bind(Lane::Webhook.priority());
            let held_up = held_up.fetch_optional(&self.database).await?;
            let paused = sqlx::query(WAITING_PAUSED).fetch_all(&self.database).await?;
            Ok(QueueMotion {
                held_up: held_up.as_ref().map(held_up_of).transpose()?,
                overdue: overdue.try_get::<Option<f64>, _>("overdue")?.map(span),
                is_worked_on: worked_on.try_get("worked_on")?,
                paused: paused.iter().map(waiting_of).collect::<Result<_, sqlx::Error>>()?,
            })
        };
        read.await.map_err(|error| classify(error, "looking whether the queue moves"))
    }

    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()> {
        let database = &self.database;
        repeat_for_operator(|| sqlx::query(PAUSE).bind(entity.as_str()).bind(paused).execute(database))
            .await
            .map_err(|error| classify(error, "pausing or resuming an entity type"))?;
        self.work.announce();
        Ok(())
    }

    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>> {
        let paused = "SELECT entity_type, paused_at FROM tds_entity_controls WHERE paused_at IS NOT NULL";
        let rows = sqlx::query(paused).fetch_all(&self.database).await;
        let doing = |error| classify(error, "reading which entity types are paused");
        let read = |row: &PgRow| {
            Ok((entity_of(&row.try_get::<String, _>("entity_type")?)?, row.try_get("paused_at")?))
        };
        rows.map_err(doing)?.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(doing)
    }

    async fn prunable(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        let counted = prune::count(&self.database, age, dead_letters).await;
        counted.map_err(|error| classify(error, "counting what can be deleted"))
    }

    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        prune::prune(&self.database, age, dead_letters)
            .await
            .map_err(|error| classify(error, "deleting what is old"))
    }

    async fn heal(&self, age: Duration, within: Option<Duration>) -> Result<Healed> {
        heal::heal(&self.database, age, within)
            .await
            .map_err(|error| classify(error, "looking for those who wait for nothing"))
    }
}

impl PgStore {
    async fn deferred(&self) -> Result<Deferred, sqlx::Error> {
        let Some(row) = sqlx::query(DEFERRED).fetch_optional(&self.database).await? else {
            return Ok(Deferred::default());
        };
        let paused = row.try_get::<Option<String>, _>("paused")?.as_deref().map(entity_of).transpose()?;
        let reason = Deferred::reason_of(paused.as_ref(), row.try_get("text")?);
        Ok(Deferred { count: row.try_get("count")?, until: row.try_get("until")?, reason: Some(reason) })
    }
}

fn held_up_of(row: &PgRow) -> Result<HeldUp, sqlx::Error> {
    let (age, reason) = (span(row.try_get("age")?), row.try_get("error_message")?);
    Ok(HeldUp { age, reason, until: row.try_get("run_at")? })
}

fn waiting_of(row: &PgRow) -> Result<(EntityType, i64), sqlx::Error> {
    Ok((entity_of(row.try_get("entity_type")?)?, row.try_get("waiting")?))
}

/// A span that the database measured; a clock that was set back makes none negative.
fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The ids of a filter, for SQL.
pub(crate) fn ids_of(filter: &ItemFilter) -> Option<Vec<i64>> {
    filter.ids.as_ref().map(|ids| ids.iter().map(|id| id.0).collect())
}
