//! The changes of a day, and the deliveries that announced them.

use std::collections::BTreeSet;

use sqlx::{Row as _, postgres::PgRow};
use tds_core::{
    measures::{Coverage, Watched},
    queue::Lane,
    record::EntityType,
};
use time::Date;

use super::{number, signed};
use crate::{
    Database,
    db::{
        retry::{ALONE, repeat},
        text::{column, entity_of},
    },
};

const TODAY: &str = "SELECT (now() AT TIME ZONE 'UTC')::date";

const STORED: &str = "
SELECT day, entity_type, changes, delivered, late_p50, late_p99 FROM tds_webhook_coverage WHERE day >= $1
 ORDER BY day, entity_type
";

// A change counts from the first delivery of all on: before it, nothing was announced to TDS. A change of the last
// minutes does not count yet, because its delivery may be on the way. A delivery belongs to the last known change
// before it; the clocks of both sides may differ by some seconds.
const COMPARED: &str = "
WITH w AS (SELECT entity_type COLLATE \"C\" AS entity_type, delivered_as COLLATE \"C\" AS delivered_as
             FROM unnest($1::text[], $2::text[]) AS w(entity_type, delivered_as)),
days AS (SELECT d::date AS day FROM generate_series($3::date::timestamp, $4::date::timestamp, interval '1 day') AS d),
span AS (SELECT GREATEST(min(received_at), $3::date::timestamp AT TIME ZONE 'UTC') AS lower,
                LEAST(($4::date + 1)::timestamp AT TIME ZONE 'UTC', now() - interval '5 minutes') AS upper
           FROM tds_inbox_events HAVING count(*) > 0),
versions AS (
  SELECT w.entity_type, w.delivered_as, r.zoho_id COLLATE \"C\" AS zoho_id, r.version
    FROM tds_sync_records r CROSS JOIN span s JOIN w ON w.entity_type = r.entity_type COLLATE \"C\"
   WHERE r.version >= s.lower AND r.version < s.upper
  UNION
  SELECT w.entity_type, w.delivered_as, d.zoho_entity_id, d.version
    FROM tds_queue_done d CROSS JOIN span s JOIN w ON w.entity_type = d.entity_type
   WHERE d.direction = 'inbound' AND d.priority = ANY($5::smallint[]) AND d.outcome = 'applied'
     AND d.processing_completed_at >= s.lower AND d.version >= s.lower AND d.version < s.upper),
changes AS (
  SELECT v.*, lead(version) OVER (PARTITION BY entity_type, zoho_id ORDER BY version) AS next FROM versions v),
deliveries AS (
  SELECT e.entity_type AS delivered_as, u.id COLLATE \"C\" AS zoho_id, e.received_at
    FROM tds_inbox_events e CROSS JOIN span s
   CROSS JOIN LATERAL unnest(COALESCE(e.records, ARRAY[e.entity_id])) AS u(id)
   WHERE e.received_at >= s.lower - interval '5 seconds' AND u.id IS NOT NULL),
announced AS (
  SELECT c.entity_type, c.zoho_id, c.version,
         GREATEST(extract(epoch FROM min(d.received_at) - c.version), 0)::double precision AS late,
         count(d.received_at) > 0 AS is_delivered
    FROM changes c
    LEFT JOIN deliveries d ON d.delivered_as = c.delivered_as AND d.zoho_id = c.zoho_id
     AND d.received_at >= c.version - interval '5 seconds'
     AND (c.next IS NULL OR d.received_at < c.next - interval '5 seconds')
   GROUP BY c.entity_type, c.zoho_id, c.version)
SELECT days.day, w.entity_type, count(a.zoho_id) AS changes, count(a.zoho_id) FILTER (WHERE a.is_delivered) AS delivered,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY a.late) FILTER (WHERE a.is_delivered) AS late_p50,
       percentile_disc(0.99) WITHIN GROUP (ORDER BY a.late) FILTER (WHERE a.is_delivered) AS late_p99
  FROM days CROSS JOIN w
  LEFT JOIN announced a ON a.entity_type = w.entity_type AND (a.version AT TIME ZONE 'UTC')::date = days.day
 GROUP BY days.day, w.entity_type ORDER BY days.day, w.entity_type
";

const STORE: &str = "
INSERT INTO tds_webhook_coverage (day, entity_type, changes, delivered, late_p50, late_p99)
SELECT * FROM unnest($1::date[], $2::text[], $3::bigint[], $4::bigint[], $5::double precision[], $6::double precision[])
ON CONFLICT (day, entity_type) DO NOTHING
";

/// Returns the comparison of the last complete days and of today.
pub(super) async fn coverage(
    database: &Database,
    watched: &[Watched],
    days: u16,
) -> Result<Vec<Coverage>, sqlx::Error> {
    let today: Date = sqlx::query_scalar(TODAY).fetch_one(database).await?;
    let mut rows = stored(database, today, days).await?;
    rows.extend(compared(database, watched, &missing(&rows, today, days)).await?);
    rows.sort_by(|a, b| (a.day, &a.entity).cmp(&(b.day, &b.entity)));
    Ok(rows)
}

/// Returns the comparisons that are stored.
pub(super) async fn known(database: &Database, days: u16) -> Result<Vec<Coverage>, sqlx::Error> {
    let today: Date = sqlx::query_scalar(TODAY).fetch_one(database).await?;
    stored(database, today, days).await
}

/// Stores the comparison of complete days that are not stored yet. Returns their number.
pub(super) async fn store(database: &Database, watched: &[Watched], days: u16) -> Result<u64, sqlx::Error> {
    let today: Date = sqlx::query_scalar(TODAY).fetch_one(database).await?;
    let mut wanted = missing(&stored(database, today, days).await?, today, days);
    wanted.remove(&today);
    let rows = compared(database, watched, &wanted).await?;
    let write = || {
        sqlx::query(STORE)
            .bind(column(&rows, |row| row.day))
            .bind(column(&rows, |row| row.entity.as_str()))
            .bind(column(&rows, |row| signed(row.changes)))
            .bind(column(&rows, |row| signed(row.delivered)))
            .bind(column(&rows, |row| row.late_p50))
            .bind(column(&rows, |row| row.late_p99))
            .execute(database)
    };
    repeat(ALONE, write).await?;
    Ok(wanted.len() as u64)
}

async fn stored(database: &Database, today: Date, days: u16) -> Result<Vec<Coverage>, sqlx::Error> {
    let first = today - time::Duration::days(i64::from(days));
    sqlx::query(STORED).bind(first).try_map(|row: PgRow| coverage_of(&row)).fetch_all(database).await
}

/// Returns today and those of the days before it that are not among the rows.
fn missing(rows: &[Coverage], today: Date, days: u16) -> BTreeSet<Date> {
    let known: BTreeSet<Date> = rows.iter().map(|row| row.day).collect();
    let all = (0..=i64::from(days)).map(|back| today - time::Duration::days(back));
    all.filter(|day| !known.contains(day)).collect()
}

async fn compared(
    database: &Database,
    watched: &[Watched],
    days: &BTreeSet<Date>,
) -> Result<Vec<Coverage>, sqlx::Error> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(Vec::new()) };
    let mut rows = sqlx::query(COMPARED)
        .bind(column(watched, |one| EntityType::as_str(&one.entity)))
        .bind(column(watched, |one| EntityType::as_str(&one.delivered_as)))
        .bind(first)
        .bind(last)
        .bind([Lane::Incremental.priority(), Lane::Full.priority()].to_vec())
        .try_map(|row: PgRow| coverage_of(&row))
        .fetch_all(database)
        .await?;
    rows.retain(|row| days.contains(&row.day));
    Ok(rows)
}

fn coverage_of(row: &PgRow) -> Result<Coverage, sqlx::Error> {
    Ok(Coverage {
        day: row.try_get("day")?,
        entity: entity_of(row.try_get("entity_type")?)?,
        changes: number(row, "changes")?,
        delivered: number(row, "delivered")?,
        late_p50: row.try_get("late_p50")?,
        late_p99: row.try_get("late_p99")?,
    })
}
