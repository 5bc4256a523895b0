//! The statistics of the calls to the source.

use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};
use tds_core::{
    error::Result,
    limits::budget::{CallCount, CallLog, PastCalls, PastUsage, Usage},
    queue::Lane,
    record::EntityType,
    runs::RunType,
};

use crate::{
    PgStore,
    db::{
        error::Doing as _,
        retry::{ALONE, repeat},
        text::{column, one_of, storable},
    },
};

// The rows are written in the order of the primary key, so that two processes cannot deadlock.
const COUNT: &str = "
WITH n AS (
  SELECT lane, run_type, entity_type, endpoint, result, sum(calls) AS calls
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
      AS n(lane, run_type, entity_type, endpoint, result, calls)
   GROUP BY lane, run_type, entity_type, endpoint, result),
of_runs AS (
  UPDATE tds_sync_runs r SET calls = r.calls + own.calls
    FROM (SELECT run_type, entity_type, sum(calls) AS calls FROM n GROUP BY run_type, entity_type) own
   WHERE r.id = (SELECT newest.id FROM tds_sync_runs newest
                  WHERE newest.entity_type = own.entity_type AND newest.run_type = own.run_type
                  ORDER BY newest.id DESC LIMIT 1))
INSERT INTO tds_api_calls AS c (account, day, lane, entity_type, endpoint, result, calls)
SELECT $1, (clock_timestamp() AT TIME ZONE 'UTC')::date, lane, entity_type, endpoint, result, calls
  FROM n ORDER BY lane, entity_type, endpoint, result
ON CONFLICT (account, day, lane, entity_type, endpoint, result) DO UPDATE SET calls = c.calls + excluded.calls
";

const CALLS: &str = "
SELECT lane, entity_type, endpoint, result, calls FROM tds_api_calls
 WHERE account = $1 AND day = (clock_timestamp() AT TIME ZONE 'UTC')::date
 ORDER BY calls DESC, entity_type, endpoint, result
";

const PAST: &str = "
SELECT lane, entity_type, sum(calls)::bigint AS calls, count(DISTINCT day)::bigint AS days FROM tds_api_calls
 WHERE account = $1 AND day < (clock_timestamp() AT TIME ZONE 'UTC')::date
   AND day >= (clock_timestamp() AT TIME ZONE 'UTC')::date - $2
 GROUP BY GROUPING SETS ((lane, entity_type), ())
";

const APPLIED: &str = "
SELECT count(*) FROM tds_queue_done
 WHERE processing_completed_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
   AND outcome IN ('applied', 'deleted')
";

#[async_trait]
impl CallLog for PgStore {
    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        let write = || {
            sqlx::query(COUNT)
                .bind(account)
                .bind(column(calls, |count| count.lane.as_str()))
                .bind(column(calls, |count| RunType::of_lane(count.lane).map(RunType::as_str)))
                .bind(column(calls, |count| count.entity.as_ref().map_or("", EntityType::as_str)))
                .bind(column(calls, |count| storable(&count.endpoint)))
                .bind(column(calls, |count| storable(&count.result)))
                .bind(column(calls, |count| i64::from(count.calls)))
                .execute(&self.database)
        };
        repeat(ALONE, write).await.map(drop).doing("counting calls")
    }

    async fn usage(&self, account: &str) -> Result<Usage> {
        let read = async {
            let calls = sqlx::query(CALLS).bind(account).try_map(|row: PgRow| call_of(&row));
            let calls = calls.fetch_all(&self.database).await?;
            let applied: i64 = sqlx::query_scalar(APPLIED).fetch_one(&self.database).await?;
            Ok::<_, sqlx::Error>(Usage { calls, applied: u64::try_from(applied).unwrap_or(0) })
        };
        read.await.doing("looking at the calls of today")
    }

    async fn past_usage(&self, account: &str, days: u32) -> Result<PastUsage> {
        let doing = "looking at the calls of the last days";
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        let rows = sqlx::query(PAST).bind(account).bind(days).fetch_all(&self.database).await.doing(doing)?;
        past_of(&rows).doing(doing)
    }
}

/// Reads the calls of past days. The row without a lane is the sum of all, with the number of days.
fn past_of(rows: &[PgRow]) -> Result<PastUsage, sqlx::Error> {
    let mut past = PastUsage::default();
    for row in rows {
        let Some(lane) = row.try_get::<Option<&str>, _>("lane")? else {
            past.days = u32::try_from(row.try_get::<i64, _>("days")?).unwrap_or(u32::MAX);
            continue;
        };
        past.calls.push(PastCalls {
            lane: one_of(Lane::ALL, Lane::as_str, "lane", lane)?,
            entity: row.try_get::<&str, _>("entity_type")?.parse().ok(),
            calls: u64::try_from(row.try_get::<Option<i64>, _>("calls")?.unwrap_or(0)).unwrap_or(0),
        });
    }
    Ok(past)
}

fn call_of(row: &PgRow) -> Result<CallCount, sqlx::Error> {
    Ok(CallCount {
        lane: one_of(Lane::ALL, Lane::as_str, "lane", row.try_get("lane")?)?,
        entity: row.try_get::<&str, _>("entity_type")?.parse().ok(),
        endpoint: row.try_get("endpoint")?,
        result: row.try_get("result")?,
        calls: u32::try_from(row.try_get::<i64, _>("calls")?).unwrap_or(u32::MAX),
    })
}
