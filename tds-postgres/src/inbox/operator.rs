//! The inbox as the operators see it.

use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;

use tds_core::{
    error::Result,
    inbox::{Deliveries, EventFilter, EventStatus, EventView, InboxId, InboxStats},
    queue::Page,
    record::EntityType,
};

use crate::{
    Database,
    db::{
        error::Doing as _,
        page::{below, page, rows},
        text::{entity_of, one_of, seconds, storable},
    },
    queue::stats::outcome_of,
};

const LIST: &str = "
SELECT id, event_id, source_type, entity_type, entity_id, event_type, status, outcome, error_message, received_at,
       processed_at, blanked_at, NULL::jsonb AS headers, NULL::bytea AS raw_payload
  FROM tds_inbox_events
 WHERE id < $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR entity_type = $3)
   AND ($4::text IS NULL OR strpos(lower(concat_ws(E'\\n', entity_id, event_id, error_message)), lower($4)) > 0)
   AND ($5::double precision IS NULL OR received_at <= now() - make_interval(secs => $5))
 ORDER BY id DESC LIMIT $6
";

const GET: &str = "
SELECT id, event_id, source_type, entity_type, entity_id, event_type, status, outcome, error_message, received_at,
       processed_at, blanked_at, headers, raw_payload
  FROM tds_inbox_events WHERE id = $1
";

const STATS: &str = "
SELECT entity_type, status, count(*) AS total, max(received_at) AS newest,
       count(*) FILTER (WHERE received_at > now() - interval '24 hours') AS last_day
  FROM tds_inbox_events GROUP BY entity_type, status
";

const DELIVERIES: &str = "
SELECT entity_type, count(*), extract(epoch FROM clock_timestamp() - min(received_at))::double precision
  FROM tds_inbox_events WHERE received_at > clock_timestamp() - make_interval(secs => $1) GROUP BY entity_type
";

/// Returns one page of events, newest first.
pub(crate) async fn list(
    database: &Database,
    filter: &EventFilter,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<EventView>> {
    let events = sqlx::query(LIST)
        .bind(below(cursor)?)
        .bind(filter.status.map(EventStatus::as_str))
        .bind(filter.entity.as_ref().map(EntityType::as_str))
        .bind(filter.search.as_deref().map(storable))
        .bind(filter.older_than.map(seconds))
        .bind(rows(limit))
        .try_map(|row: PgRow| event_of(&row))
        .fetch_all(database)
        .await
        .doing("listing inbox events")?;
    Ok(page(events, limit, |event| event.id.0))
}

/// Counts the events of some time by entity type, and says how far back they reach.
pub(crate) async fn deliveries(database: &Database, within: Duration) -> Result<Deliveries> {
    let doing = "counting the inbox events of some time";
    let query = sqlx::query_as(DELIVERIES).bind(seconds(within));
    let counted: Vec<(String, i64, f64)> = query.fetch_all(database).await.doing(doing)?;
    let mut deliveries = Deliveries::default();
    for (entity, events, age) in counted {
        deliveries.span = deliveries.span.max(Duration::try_from_secs_f64(age).unwrap_or_default());
        deliveries.by_entity.insert(entity_of(&entity).doing(doing)?, events);
    }
    Ok(deliveries)
}

/// Returns one event with its headers and its body.
pub(crate) async fn get(database: &Database, id: InboxId) -> Result<Option<EventView>, sqlx::Error> {
    let event = sqlx::query(GET).bind(id.0).try_map(|row: PgRow| event_of(&row));
    event.fetch_optional(database).await
}

fn event_of(row: &PgRow) -> Result<EventView, sqlx::Error> {
    Ok(EventView {
        id: InboxId(row.try_get("id")?),
        event_id: row.try_get("event_id")?,
        source_type: row.try_get("source_type")?,
        entity_type: entity_of(row.try_get("entity_type")?)?,
        entity_id: row.try_get("entity_id")?,
        event_type: row.try_get("event_type")?,
        status: status_of(row.try_get("status")?)?,
        outcome: outcome_of(row)?,
        error_message: row.try_get("error_message")?,
        received_at: row.try_get("received_at")?,
        processed_at: row.try_get("processed_at")?,
        blanked_at: row.try_get("blanked_at")?,
        headers: row.try_get("headers")?,
        raw_payload: row.try_get("raw_payload")?,
    })
}

fn status_of(text: &str) -> Result<EventStatus, sqlx::Error> {
    one_of(EventStatus::ALL, EventStatus::as_str, "event status", text)
}

/// Counts the events.
pub(crate) async fn stats(database: &Database) -> Result<InboxStats, sqlx::Error> {
    let mut stats = InboxStats::default();
    let counted: Vec<(String, String, i64, OffsetDateTime, i64)> =
        sqlx::query_as(STATS).fetch_all(database).await?;
    for (entity, status, total, newest, last_day) in counted {
        stats.add(entity_of(&entity)?, status_of(&status)?, total, last_day);
        stats.last_received_at = stats.last_received_at.max(Some(newest));
    }
    Ok(stats)
}
