//! Figures of the queue: how many items wait and for how long, and whether the queue makes progress.

use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;

use tds_core::queue::{
    Deferred, Delays, HeldUp, ItemStatus, Lane, NeedsAttention, Outcome, QueueMotion, QueueStats,
};

use crate::{
    Database,
    db::text::{entity_of, one_of},
};

/// The live items are counted. For the archive there are counters.
const COUNTS: &str = "
SELECT entity_type, status, count(*) AS total FROM tds_queue_live GROUP BY entity_type, status
UNION ALL
SELECT entity_type, 'completed', sum(completed)::bigint FROM tds_queue_tally GROUP BY entity_type
";

/// Returns one row per entity type, and one row with the entity type '' for all of them. An item that was being
/// processed when its process died also waits, from the end of its lease.
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
         -- Work that counts as enqueued only later has no age. GREATEST would turn NULL into 0.
         CASE WHEN count(*) > 0 THEN GREATEST(extract(epoch FROM now() - min(queued_at)), 0) END::double precision AS oldest
    FROM tds_queue_live
   WHERE status IN ('pending', 'failed') OR status = 'processing' AND lease_expires_at <= now()
   GROUP BY GROUPING SETS ((), (entity_type))
)
SELECT entity_type, mean, p50, p99, oldest FROM done FULL JOIN waiting USING (entity_type)
";

/// Counts the items that wait for a later time or for an operator, and finds the largest group of items that wait for
/// the same reason. Digits in the texts are ignored, because they say how long each item waits.
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

/// The item that has been due for the longest time is the first item of its lane in the index.
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

/// Finds the oldest of the urgent items that wait although none of their attempts failed.
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

/// Failed events that wait for no item are those that TDS could not parse: events of dead letters still wait. Held
/// deletions belong to the newest full run of an entity type that finished, because each later list replaces the decision.
/// Drift belongs to the newest comparison of an entity type that finished.
const ATTENTION: &str = "
SELECT (SELECT count(*) FROM tds_inbox_events WHERE status = 'failed' AND open_items <= 0 AND outcome IS NULL) AS unparsed,
       (SELECT COALESCE(sum(held), 0)::bigint FROM (
          SELECT DISTINCT ON (entity_type) cardinality(held_ids) AS held FROM tds_sync_runs
           WHERE run_type = 'full' AND status IN ('completed', 'completed_with_errors')
           ORDER BY entity_type, id DESC) AS newest) AS held,
       (SELECT count(*) FROM (
          SELECT DISTINCT ON (entity_type) id FROM tds_sync_runs
           WHERE run_type = 'verify' AND status IN ('completed', 'completed_with_errors')
           ORDER BY entity_type, id DESC) AS newest
          JOIN tds_verify_findings f ON f.run_id = newest.id AND f.state = 'drift' AND f.repaired_at IS NULL) AS drift
";

/// Returns how many items wait and for how long.
pub(crate) async fn stats(database: &Database) -> Result<QueueStats, sqlx::Error> {
    type Seconds = Option<f64>;
    let mut stats = QueueStats::default();
    let counts: Vec<(String, String, i64)> = sqlx::query_as(COUNTS).fetch_all(database).await?;
    for (entity, status, total) in counts {
        let status = status_of(&status)?;
        stats.queue.add(status, total);
        stats.by_entity.entry(entity_of(&entity)?).or_default().add(status, total);
    }
    let delays: Vec<(String, Seconds, Seconds, Seconds, Seconds)> =
        sqlx::query_as(DELAYS).fetch_all(database).await?;
    for (entity, avg, p50, p99, oldest) in delays {
        let known = Delays { avg, p50, p99, oldest };
        if entity.is_empty() {
            stats.overall = known;
        } else {
            stats.delays.insert(entity_of(&entity)?, known);
        }
    }
    let (unparsed_events, held_deletions, drift) = sqlx::query_as(ATTENTION).fetch_one(database).await?;
    let dead_letters = stats.queue.dead_letter;
    stats.needs_attention =
        NeedsAttention { dead_letters, unparsed_events, held_deletions, drift, ..NeedsAttention::default() };
    stats.deferred = deferred(database).await?;
    Ok(stats)
}

/// Returns whether the queue makes progress.
pub(crate) async fn motion(database: &Database) -> Result<QueueMotion, sqlx::Error> {
    let lanes: Vec<i16> = Lane::ALL.into_iter().map(Lane::priority).collect();
    let overdue: Option<f64> = sqlx::query_scalar(OVERDUE).bind(lanes).fetch_one(database).await?;
    let is_worked_on = sqlx::query_scalar(WORKED_ON).fetch_one(database).await?;
    let held_up = sqlx::query_as(HELD_UP).bind(Lane::Webhook.priority());
    let held_up: Option<(f64, String, OffsetDateTime)> = held_up.fetch_optional(database).await?;
    let paused: Vec<(String, i64)> = sqlx::query_as(WAITING_PAUSED).fetch_all(database).await?;
    let paused = paused.iter().map(|(entity, waiting)| Ok((entity_of(entity)?, *waiting)));
    Ok(QueueMotion {
        held_up: held_up.map(|(age, reason, until)| HeldUp { age: span(age), reason, until }),
        overdue: overdue.map(span),
        is_worked_on,
        paused: paused.collect::<Result<_, sqlx::Error>>()?,
    })
}

async fn deferred(database: &Database) -> Result<Deferred, sqlx::Error> {
    type Group = (Option<String>, Option<String>, i64, Option<OffsetDateTime>);
    let row: Option<Group> = sqlx::query_as(DEFERRED).fetch_optional(database).await?;
    let Some((paused, text, count, until)) = row else { return Ok(Deferred::default()) };
    let paused = paused.as_deref().map(entity_of).transpose()?;
    let reason = Deferred::reason_of(paused.as_ref(), text.as_deref());
    Ok(Deferred { count, until, reason: Some(reason) })
}

/// Converts a duration that the database measured. A clock that was set back yields zero instead of a negative
/// duration.
fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Reads the status of an item.
pub(super) fn status_of(text: &str) -> Result<ItemStatus, sqlx::Error> {
    one_of(ItemStatus::ALL, ItemStatus::as_str, "item status", text)
}

/// Reads the outcome of an item or of an event.
pub(crate) fn outcome_of(row: &PgRow) -> Result<Option<Outcome>, sqlx::Error> {
    let text: Option<&str> = row.try_get("outcome")?;
    text.map(|text| one_of(Outcome::ALL, Outcome::as_str, "outcome", text)).transpose()
}
