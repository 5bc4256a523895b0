//! The statistics of the calls to the source.

use async_trait::async_trait;
use sqlx::Row as _;
use tds_core::{
    error::Result,
    limits::budget::{CallCount, CallLog, Usage},
    queue::Lane,
    record::EntityType,
    runs::RunType,
};

use crate::{
    PgStore,
    db::{
        error::classify,
        retry::repeat,
        text::{one_of, storable},
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

const APPLIED: &str = "
SELECT count(*) FROM tds_queue_done
 WHERE processing_completed_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
   AND outcome IN ('applied', 'deleted')
";

#[async_trait]
impl CallLog for PgStore {
    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        let lanes: Vec<&str> = calls.iter().map(|count| count.lane.as_str()).collect();
        let run_type = |count: &CallCount| RunType::of_lane(count.lane).map(RunType::as_str);
        let run_types: Vec<Option<&str>> = calls.iter().map(run_type).collect();
        let entities: Vec<&str> =
            calls.iter().map(|count| count.entity.as_ref().map_or("", EntityType::as_str)).collect();
        let endpoints: Vec<String> =
            calls.iter().map(|count| storable(&count.endpoint).into_owned()).collect();
        let results: Vec<String> = calls.iter().map(|count| storable(&count.result).into_owned()).collect();
        let numbers: Vec<i64> = calls.iter().map(|count| i64::from(count.calls)).collect();
        let (database, lanes, run_types, entities, endpoints, results, numbers) =
            (&self.database, &lanes, &run_types, &entities, &endpoints, &results, &numbers);
        repeat(|| {
            sqlx::query(COUNT)
                .bind(account)
                .bind(lanes)
                .bind(run_types)
                .bind(entities)
                .bind(endpoints)
                .bind(results)
                .bind(numbers)
                .execute(database)
        })
        .await
        .map_err(|error| classify(error, "counting calls"))?;
        Ok(())
    }

    async fn usage(&self, account: &str) -> Result<Usage> {
        let fault = |error| classify(error, "looking at the calls of today");
        let rows = sqlx::query(CALLS).bind(account).fetch_all(&self.database).await.map_err(fault)?;
        let mut calls = Vec::with_capacity(rows.len());
        for row in rows {
            let lane: String = row.try_get("lane").map_err(fault)?;
            let entity: String = row.try_get("entity_type").map_err(fault)?;
            calls.push(CallCount {
                lane: one_of(Lane::ALL, Lane::as_str, "lane", &lane).map_err(fault)?,
                entity: entity.parse().ok(),
                endpoint: row.try_get("endpoint").map_err(fault)?,
                result: row.try_get("result").map_err(fault)?,
                calls: u32::try_from(row.try_get::<i64, _>("calls").map_err(fault)?).unwrap_or(u32::MAX),
            });
        }
        let applied: i64 = sqlx::query_scalar(APPLIED).fetch_one(&self.database).await.map_err(fault)?;
        Ok(Usage { calls, applied: u64::try_from(applied).unwrap_or(0) })
    }
}
