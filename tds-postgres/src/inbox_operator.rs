//! The inbox, from the operators' side.

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};

use tds_core::{
    error::{Error, Result},
    inbox::{Disposition, EventFilter, EventStatus, EventView, InboxId, InboxOperator, InboxStats, LastDay},
    queue::{Lane, Page},
    record::EntityType,
};

use crate::{
    Database, PgStore,
    error::classify,
    fold::{Batch, WaiterEntry, attach},
    inbox::Begin,
    page::{below, page, rows},
    queue::entity_of,
    store::{repeat_for_operator, seconds, storable},
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

// What failed before does not hold the event back.
const LEAVE_DEAD: &str = "
DELETE FROM tds_queue_waiters w USING tds_queue_live q
 WHERE q.dead_lettered_at IS NOT NULL AND w.item_id = q.id AND w.cause = 'event' AND w.cause_id = $1
";

const REPLAY: &str = "
UPDATE tds_inbox_events SET status = $2, outcome = $3, error_message = $4, open_items = open_items + $5,
  processed_at = CASE WHEN $2 <> 'pending' THEN clock_timestamp() END,
  again = CASE WHEN $6 THEN nextval(pg_get_serial_sequence('tds_inbox_events', 'id')) ELSE again END
 WHERE id = $1
";

const STATS: &str = "
SELECT entity_type, status, count(*) AS total, max(received_at) AS newest,
       count(*) FILTER (WHERE received_at > now() - interval '24 hours') AS last_day
  FROM tds_inbox_events GROUP BY entity_type, status
";

#[async_trait]
impl InboxOperator for PgStore {
    async fn list_events(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<EventView>> {
        let found = sqlx::query(LIST)
            .bind(below(cursor)?)
            .bind(filter.status.map(EventStatus::as_str))
            .bind(filter.entity.as_ref().map(EntityType::as_str))
            .bind(filter.search.as_deref().map(storable))
            .bind(filter.older_than.map(seconds))
            .bind(rows(limit))
            .fetch_all(&self.database)
            .await;
        let doing = |error| classify(error, "listing inbox events");
        let events = found.map_err(doing)?.iter().map(event_of).collect::<Result<Vec<_>, _>>();
        Ok(page(events.map_err(doing)?, limit, |event| event.id.0))
    }

    async fn get_event(&self, id: InboxId) -> Result<Option<EventView>> {
        let row = sqlx::query(GET).bind(id.0).fetch_optional(&self.database).await;
        let doing = |error| classify(error, "reading an inbox event");
        row.map_err(doing)?.as_ref().map(event_of).transpose().map_err(doing)
    }

    async fn replay(&self, id: InboxId, disposition: Disposition) -> Result<()> {
        let (database, disposition) = (&self.database, &disposition);
        let found = repeat_for_operator(|| begin_again(database, id, disposition, Lane::Operator))
            .await
            .map_err(|error| classify(error, "replaying an inbox event"))?;
        if !found {
            return Err(Error::not_found(format!("there is no inbox event {id}")));
        }
        self.work.announce();
        Ok(())
    }

    async fn inbox_stats(&self) -> Result<InboxStats> {
        let counted = sqlx::query(STATS).fetch_all(&self.database).await;
        let doing = |error| classify(error, "counting inbox events");
        stats_of(&counted.map_err(doing)?).map_err(doing)
    }
}

/// Queues work of an event that is there, which is pending again. False: there is no such event.
pub(crate) async fn begin_again(
    database: &Database,
    id: InboxId,
    disposition: &Disposition,
    lane: Lane,
) -> Result<bool, sqlx::Error> {
    let begin = Begin::of(disposition);
    let mut tx = database.begin().await?;
    let mut batch = Batch::default();
    for (key, work) in begin.work {
        batch.add(key, lane, work, Some(id.0));
    }
    let places = batch.fold(&mut tx).await?;
    let waiting = |(key, _): &(_, _)| {
        places.of(key).map(|place| WaiterEntry { place, cause: "event", id: id.0, counted: true })
    };
    let waiters: Vec<WaiterEntry> = begin.work.iter().filter_map(waiting).collect();
    let attached = attach(&mut tx, &waiters).await?;
    let new = i64::try_from(attached.iter().filter(|new| new.inserted).count()).unwrap_or(i64::MAX);
    let left = sqlx::query(LEAVE_DEAD).bind(id.0).execute(&mut tx).await?.rows_affected();
    let replayed = sqlx::query(REPLAY)
        .bind(id.0)
        .bind(begin.status)
        .bind(begin.outcome)
        .bind(begin.error.map(storable))
        .bind(new.saturating_sub(i64::try_from(left).unwrap_or(0)))
        .bind(lane == Lane::Webhook)
        .execute(&mut tx)
        .await?;
    if replayed.rows_affected() == 0 {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

fn event_of(row: &PgRow) -> Result<EventView, sqlx::Error> {
    let status: String = row.try_get("status")?;
    let entity: String = row.try_get("entity_type")?;
    let known = EventStatus::ALL.into_iter().find(|known| known.as_str() == status);
    Ok(EventView {
        id: InboxId(row.try_get("id")?),
        event_id: row.try_get("event_id")?,
        source_type: row.try_get("source_type")?,
        entity_type: entity_of(&entity)?,
        entity_id: row.try_get("entity_id")?,
        event_type: row.try_get("event_type")?,
        status: known
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown event status {status:?}").into()))?,
        outcome: row.try_get("outcome")?,
        error_message: row.try_get("error_message")?,
        received_at: row.try_get("received_at")?,
        processed_at: row.try_get("processed_at")?,
        headers: row.try_get("headers")?,
        raw_payload: row.try_get("raw_payload")?,
    })
}

fn stats_of(counted: &[PgRow]) -> Result<InboxStats, sqlx::Error> {
    let by_status = EventStatus::ALL.into_iter().map(|status| (status.as_str().to_owned(), 0)).collect();
    let mut stats = InboxStats { by_status, ..InboxStats::default() };
    for row in counted {
        let (entity, status): (String, String) = (row.try_get("entity_type")?, row.try_get("status")?);
        let (total, last_day): (i64, i64) = (row.try_get("total")?, row.try_get("last_day")?);
        stats.total += total;
        stats.last_24h.total += last_day;
        match status.as_str() {
            "completed" => stats.last_24h.completed += last_day,
            "failed" => stats.last_24h.failed += last_day,
            _ => {}
        }
        *stats.by_status.entry(status).or_default() += total;
        *stats.by_entity.entry(entity_of(&entity)?).or_default() += total;
        stats.last_received_at = stats.last_received_at.max(row.try_get("newest")?);
    }
    stats.last_24h.success_rate_percent = success_rate(&stats.last_24h);
    Ok(stats)
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
fn success_rate(day: &LastDay) -> Option<f64> {
    (day.total > 0).then(|| (day.completed as f64 / day.total as f64 * 10_000.0).round() / 100.0)
}
