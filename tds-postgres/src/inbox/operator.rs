//! The inbox as the operators see it.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;

use tds_core::{
    error::{Error, Result},
    inbox::{
        Deliveries, Disposition, EventFilter, EventStatus, EventView, InboxId, InboxOperator, InboxStats,
    },
    queue::{Lane, Page},
    record::EntityType,
};

use super::ingest::begin_again;
use crate::{
    Database, PgStore,
    db::{
        error::Doing as _,
        page::{below, page, rows},
        retry::{FOR_OPERATOR, repeat},
        text::{entity_of, one_of, seconds, storable},
    },
    queue::stats::outcome_of,
};

const LIST: &str = "
SELECT id, event_id, source_type, entity_type, entity_id, event_type, status, outcome, error_message, received_at,
       processed_at, NULL::jsonb AS headers, NULL::bytea AS raw_payload
  FROM tds_inbox_events
 WHERE id < $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR entity_type = $3)
   AND ($4::text IS NULL OR strpos(lower(concat_ws(E'\\n', entity_id, event_id, error_message)), lower($4)) > 0)
   AND ($5::double precision IS NULL OR received_at <= now() - make_interval(secs => $5))
 ORDER BY id DESC LIMIT $6
";

const GET: &str = "
SELECT id, event_id, source_type, entity_type, entity_id, event_type, status, outcome, error_message, received_at,
       processed_at, headers, raw_payload
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

#[async_trait]
impl InboxOperator for PgStore {
    async fn list_events(
        &self,
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
            .fetch_all(&self.database)
            .await
            .doing("listing inbox events")?;
        Ok(page(events, limit, |event| event.id.0))
    }

    async fn get_event(&self, id: InboxId) -> Result<Option<EventView>> {
        let event = sqlx::query(GET).bind(id.0).try_map(|row: PgRow| event_of(&row));
        event.fetch_optional(&self.database).await.doing("reading an inbox event")
    }

    async fn replay(&self, id: InboxId, disposition: Disposition) -> Result<()> {
        let (database, disposition) = (&self.database, &disposition);
        let found = repeat(FOR_OPERATOR, || begin_again(database, id, disposition, Lane::Operator))
            .await
            .doing("replaying an inbox event")?;
        if !found {
            return Err(Error::not_found(format!("there is no inbox event {id}")));
        }
        self.work.announce();
        Ok(())
    }

    async fn deliveries(&self, within: Duration) -> Result<Deliveries> {
        let counted: Vec<(String, i64, f64)> = sqlx::query_as(DELIVERIES)
            .bind(seconds(within))
            .fetch_all(&self.database)
            .await
            .doing("counting the inbox events of some time")?;
        let mut deliveries = Deliveries::default();
        for (entity, events, age) in counted {
            deliveries.span = deliveries.span.max(Duration::try_from_secs_f64(age).unwrap_or_default());
            let entity = entity_of(&entity).doing("counting the inbox events of some time")?;
            deliveries.by_entity.insert(entity, events);
        }
        Ok(deliveries)
    }

    async fn inbox_stats(&self) -> Result<InboxStats> {
        stats(&self.database).await.doing("counting inbox events")
    }
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
        headers: row.try_get("headers")?,
        raw_payload: row.try_get("raw_payload")?,
    })
}

fn status_of(text: &str) -> Result<EventStatus, sqlx::Error> {
    one_of(EventStatus::ALL, EventStatus::as_str, "event status", text)
}

async fn stats(database: &Database) -> Result<InboxStats, sqlx::Error> {
    let mut stats = InboxStats::default();
    let counted: Vec<(String, String, i64, OffsetDateTime, i64)> =
        sqlx::query_as(STATS).fetch_all(database).await?;
    for (entity, status, total, newest, last_day) in counted {
        stats.add(entity_of(&entity)?, status_of(&status)?, total, last_day);
        stats.last_received_at = stats.last_received_at.max(Some(newest));
    }
    Ok(stats)
}
