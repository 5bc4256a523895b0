//! The figures of the report, day by day.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{Row as _, postgres::PgRow};
use tds_core::{
    measures::{
        AnswerTimes, CallsOfDay, DayFigures, DeadLetters, EntityFigures, FailureCause, KnownUnknownField,
        LaneCount, ReportFigures,
    },
    queue::Lane,
};
use time::Date;

use super::{answers::times_of, number, sizes, unsigned, week};
use crate::{
    Database,
    db::text::{entity_of, one_of},
};

/// An event counts as late after this time.
const PATIENCE: Duration = Duration::from_secs(900);
/// The number of causes, of groups of dead letters and of fields in the report.
const MOST: i64 = 20;

/// The midnight (UTC) at which the first day begins; `$1` is the number of days.
macro_rules! first {
    () => {
        "(((now() AT TIME ZONE 'UTC')::date - $1 + 1)::timestamp AT TIME ZONE 'UTC')"
    };
}

const CALENDAR: &str = "
SELECT d::date FROM generate_series(((now() AT TIME ZONE 'UTC')::date - $1 + 1)::timestamp,
                                    (now() AT TIME ZONE 'UTC')::date::timestamp, interval '1 day') AS d
";

const WORK: &str = concat!(
    "SELECT (processing_completed_at AT TIME ZONE 'UTC')::date AS day, count(*) AS completed,
            count(*) FILTER (WHERE outcome IN ('applied', 'deleted')) AS changed, avg(delay)::double precision AS mean,
            percentile_disc(0.5) WITHIN GROUP (ORDER BY delay)::double precision AS p50,
            percentile_disc(0.99) WITHIN GROUP (ORDER BY delay)::double precision AS p99
       FROM (SELECT d.*, extract(epoch FROM processing_completed_at - queued_at) AS delay FROM tds_queue_done d
              WHERE processing_completed_at >= ",
    first!(),
    " AND outcome <> 'discarded') AS d GROUP BY 1"
);

const LANES: &str = concat!(
    "SELECT (processing_completed_at AT TIME ZONE 'UTC')::date AS day, priority, count(*) AS items FROM tds_queue_done
      WHERE processing_completed_at >= ",
    first!(),
    " AND outcome <> 'discarded' GROUP BY 1, 2 ORDER BY 1, 2"
);

const DELIVERIES: &str = concat!(
    "SELECT (received_at AT TIME ZONE 'UTC')::date AS day, count(*) AS received,
            count(*) FILTER (WHERE status = 'failed') AS failed
       FROM tds_inbox_events WHERE received_at >= ",
    first!(),
    " GROUP BY 1"
);

const ATTEMPTS: &str = concat!(
    "SELECT (ended_at AT TIME ZONE 'UTC')::date AS day, count(*) FILTER (WHERE result = 'retry') AS retries,
            count(*) FILTER (WHERE result = 'dead_letter') AS dead
       FROM tds_queue_attempts WHERE ended_at >= ",
    first!(),
    " AND result IN ('retry', 'dead_letter') GROUP BY 1"
);

const CALLS: &str = "
SELECT day, lane, sum(calls)::bigint AS calls, (sum(calls) FILTER (WHERE result <> 'ok'))::bigint AS failed
  FROM tds_api_calls WHERE day > (now() AT TIME ZONE 'UTC')::date - $1 GROUP BY day, lane
";

const ANSWERS: &str = concat!(
    "SELECT (hour AT TIME ZONE 'UTC')::date AS day, answers, faults, seconds, classes FROM tds_answer_times WHERE hour >= ",
    first!()
);

const ENTITIES: &str = concat!(
    "WITH work AS (
       SELECT entity_type, count(*) AS completed, count(*) FILTER (WHERE outcome IN ('applied', 'deleted')) AS changed,
              avg(delay)::double precision AS mean,
              percentile_disc(0.99) WITHIN GROUP (ORDER BY delay)::double precision AS p99
         FROM (SELECT d.*, extract(epoch FROM processing_completed_at - queued_at) AS delay FROM tds_queue_done d
                WHERE processing_completed_at >= ",
    first!(),
    " AND outcome <> 'discarded') AS d GROUP BY entity_type),
     events AS (SELECT entity_type, count(*) AS deliveries FROM tds_inbox_events WHERE received_at >= ",
    first!(),
    " GROUP BY entity_type)
     SELECT entity_type, deliveries, completed, changed, mean, p99 FROM work FULL JOIN events USING (entity_type)
      ORDER BY COALESCE(completed, 0) DESC, entity_type"
);

// Digits say how long something waited or which record it is; the causes are alike without them. An item that moved to
// the archive has its entity type there.
const FAILURES: &str = concat!(
    "SELECT max(COALESCE(l.entity_type, d.entity_type)) AS entity_type, max(a.error) AS error, count(*) AS attempts,
            count(*) FILTER (WHERE a.result = 'dead_letter') AS dead, max(a.ended_at) AS last_at
       FROM tds_queue_attempts a LEFT JOIN tds_queue_live l ON l.id = a.item_id
       LEFT JOIN tds_queue_done d ON d.id = a.item_id
      WHERE a.ended_at >= ",
    first!(),
    " AND a.result IN ('retry', 'dead_letter', 'lease_lost')
      GROUP BY COALESCE(l.entity_type, d.entity_type), left(regexp_replace(COALESCE(a.error, a.result), '[0-9]+', '', 'g'), 200)
      ORDER BY count(*) DESC, max(a.ended_at) DESC LIMIT $2"
);

const DEAD: &str = "
SELECT entity_type, max(error_message) AS error, count(*) AS items, min(dead_lettered_at) AS since FROM tds_queue_live
 WHERE dead_lettered_at IS NOT NULL
 GROUP BY entity_type, left(regexp_replace(COALESCE(error_message, ''), '[0-9]+', '', 'g'), 200)
 ORDER BY count(*) DESC, entity_type LIMIT $1
";

const UNPARSED: &str = "
SELECT count(*) FROM tds_inbox_events WHERE status = 'failed' AND open_items <= 0 AND outcome IS NULL
";

const FIELDS: &str = "
SELECT entity_type, path, first_seen_at, last_seen_at, occurrences, count(*) OVER () AS total FROM tds_unknown_fields
 ORDER BY last_seen_at DESC, entity_type, path LIMIT $1
";

/// Returns the figures of the last days, today included.
pub(super) async fn figures(database: &Database, days: u16) -> Result<ReportFigures, sqlx::Error> {
    let span = Duration::from_secs(u64::from(days) * 86_400);
    let fields = sqlx::query(FIELDS).bind(MOST).fetch_all(database).await?;
    let entities = sqlx::query(ENTITIES).bind(i32::from(days)).try_map(|row: PgRow| entity_figures(&row));
    let failures =
        sqlx::query(FAILURES).bind(i32::from(days)).bind(MOST).try_map(|row: PgRow| failure_of(&row));
    let dead_letters = sqlx::query(DEAD).bind(MOST).try_map(|row: PgRow| dead_of(&row));
    let unparsed: i64 = sqlx::query_scalar(UNPARSED).fetch_one(database).await?;
    Ok(ReportFigures {
        whole: week::week(database, span, PATIENCE).await?,
        days: each_day(database, i32::from(days)).await?,
        entities: entities.fetch_all(database).await?,
        failures: failures.fetch_all(database).await?,
        dead_letters: dead_letters.fetch_all(database).await?,
        unparsed: unsigned(Some(unparsed)),
        unknown_fields_total: fields.first().map_or(Ok(0), |row| number(row, "total"))?,
        unknown_fields: fields.iter().map(field_of).collect::<Result<_, _>>()?,
        tables: sizes::growth(database, days).await?,
    })
}

async fn each_day(database: &Database, days: i32) -> Result<Vec<DayFigures>, sqlx::Error> {
    let calendar: Vec<Date> = sqlx::query_scalar(CALENDAR).bind(days).fetch_all(database).await?;
    let mut figures: BTreeMap<Date, DayFigures> =
        calendar.into_iter().map(|day| (day, nothing(day))).collect();
    for (statement, read) in [
        (WORK, work_of as fn(&PgRow, &mut DayFigures) -> Result<(), sqlx::Error>),
        (LANES, lane_of),
        (DELIVERIES, deliveries_of),
        (ATTEMPTS, attempts_of),
        (CALLS, calls_of),
        (ANSWERS, answers_of),
    ] {
        for row in sqlx::query(statement).bind(days).fetch_all(database).await? {
            // Midnight may pass between two statements. The new day is not in the report.
            if let Some(figures) = figures.get_mut(&row.try_get::<Date, _>("day")?) {
                read(&row, figures)?;
            }
        }
    }
    Ok(figures.into_values().collect())
}

fn nothing(day: Date) -> DayFigures {
    DayFigures {
        day,
        deliveries: 0,
        failed_deliveries: 0,
        completed: 0,
        changed: 0,
        lanes: Vec::new(),
        mean: None,
        p50: None,
        p99: None,
        retries: 0,
        dead_letters: 0,
        calls: Vec::new(),
        answers: AnswerTimes::default(),
    }
}

fn work_of(row: &PgRow, day: &mut DayFigures) -> Result<(), sqlx::Error> {
    (day.completed, day.changed) = (number(row, "completed")?, number(row, "changed")?);
    (day.mean, day.p50, day.p99) = (row.try_get("mean")?, row.try_get("p50")?, row.try_get("p99")?);
    Ok(())
}

fn lane_of(row: &PgRow, day: &mut DayFigures) -> Result<(), sqlx::Error> {
    let lane = Lane::from_priority(row.try_get("priority")?);
    day.lanes.push(LaneCount { lane, items: number(row, "items")? });
    Ok(())
}

fn deliveries_of(row: &PgRow, day: &mut DayFigures) -> Result<(), sqlx::Error> {
    (day.deliveries, day.failed_deliveries) = (number(row, "received")?, number(row, "failed")?);
    Ok(())
}

fn attempts_of(row: &PgRow, day: &mut DayFigures) -> Result<(), sqlx::Error> {
    (day.retries, day.dead_letters) = (number(row, "retries")?, number(row, "dead")?);
    Ok(())
}

fn calls_of(row: &PgRow, day: &mut DayFigures) -> Result<(), sqlx::Error> {
    let lane = one_of(Lane::ALL, Lane::as_str, "lane", row.try_get("lane")?)?;
    let failed = unsigned(row.try_get("failed")?);
    day.calls.push(CallsOfDay { lane, calls: number(row, "calls")?, failed });
    day.calls.sort_by_key(|calls| calls.lane);
    Ok(())
}

fn answers_of(row: &PgRow, day: &mut DayFigures) -> Result<(), sqlx::Error> {
    day.answers.merge(&times_of(row)?);
    Ok(())
}

fn entity_figures(row: &PgRow) -> Result<EntityFigures, sqlx::Error> {
    Ok(EntityFigures {
        entity: entity_of(row.try_get("entity_type")?)?,
        deliveries: unsigned(row.try_get("deliveries")?),
        completed: unsigned(row.try_get("completed")?),
        changed: unsigned(row.try_get("changed")?),
        mean: row.try_get("mean")?,
        p99: row.try_get("p99")?,
    })
}

fn failure_of(row: &PgRow) -> Result<FailureCause, sqlx::Error> {
    let entity: Option<&str> = row.try_get("entity_type")?;
    let error: Option<String> = row.try_get("error")?;
    Ok(FailureCause {
        entity: entity.map(entity_of).transpose()?,
        error: error.unwrap_or_else(|| "the lease was lost".to_owned()),
        attempts: number(row, "attempts")?,
        dead_letters: number(row, "dead")?,
        last_at: row.try_get("last_at")?,
    })
}

fn dead_of(row: &PgRow) -> Result<DeadLetters, sqlx::Error> {
    Ok(DeadLetters {
        entity: entity_of(row.try_get("entity_type")?)?,
        error: row.try_get::<Option<String>, _>("error")?.unwrap_or_default(),
        items: number(row, "items")?,
        since: row.try_get("since")?,
    })
}

fn field_of(row: &PgRow) -> Result<KnownUnknownField, sqlx::Error> {
    Ok(KnownUnknownField {
        entity: entity_of(row.try_get("entity_type")?)?,
        path: row.try_get("path")?,
        first_seen_at: row.try_get("first_seen_at")?,
        last_seen_at: row.try_get("last_seen_at")?,
        occurrences: number(row, "occurrences")?,
    })
}
