//! Leadership and due times of schedules, by the database's clock.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;

use tds_core::{Result, Schedule, ScheduleSpec, WorkerId};

use crate::{
    PgStore,
    error::classify,
    store::{repeat, seconds, storable},
};

const LEADER: &str = "scheduler";

// A lease that ends much later than one can was noted by a clock that was ahead.
const LEAD: &str = "
INSERT INTO tds_leases AS l (name, owner, expires_at)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
 WHERE l.owner = excluded.owner OR l.expires_at <= clock_timestamp()
    OR l.expires_at > clock_timestamp() + make_interval(secs => 10 * $3)
RETURNING l.owner
";

// One that is new is not in `known`, so it is not due; a shorter period takes effect at once.
const DUE: &str = "
WITH want AS (SELECT * FROM unnest($1::text[], $2::double precision[]) AS w(name, secs)),
known AS MATERIALIZED (
  SELECT s.name, s.next_at FROM tds_schedules s JOIN want USING (name) ORDER BY s.name FOR UPDATE OF s),
kept AS (
  INSERT INTO tds_schedules AS s (name, next_at)
  SELECT w.name, now() + make_interval(secs => w.secs) FROM want w LEFT JOIN known USING (name) ORDER BY w.name
  ON CONFLICT (name) DO UPDATE SET
    next_at = CASE WHEN s.next_at <= now() THEN excluded.next_at ELSE LEAST(s.next_at, excluded.next_at) END,
    last_at = CASE WHEN s.next_at <= now() THEN now() ELSE s.last_at END)
SELECT name FROM known WHERE next_at <= now()
";

#[async_trait]
impl Schedule for PgStore {
    async fn lead(&self, worker: &WorkerId, lease: Duration) -> Result<bool> {
        let leads = sqlx::query(LEAD)
            .bind(LEADER)
            .bind(storable(&worker.0))
            .bind(seconds(lease))
            .fetch_optional(&self.database)
            .await
            .map_err(|error| classify(error, "asking for leadership"))?;
        Ok(leads.is_some())
    }

    async fn resign(&self, worker: &WorkerId) -> Result<()> {
        sqlx::query("DELETE FROM tds_leases WHERE name = $1 AND owner = $2")
            .bind(LEADER)
            .bind(storable(&worker.0))
            .execute(&self.database)
            .await
            .map_err(|error| classify(error, "giving leadership up"))?;
        Ok(())
    }

    async fn due(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ScheduleSpec>> {
        let mut named: Vec<(String, &ScheduleSpec)> =
            schedules.iter().map(|spec| (name_of(spec), spec)).collect();
        named.sort_by(|one, other| one.0.cmp(&other.0));
        named.dedup_by(|one, other| one.0 == other.0);
        let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        let periods: Vec<f64> = named.iter().map(|(_, spec)| seconds(spec.every)).collect();
        let (database, names, periods) = (&self.database, &names, &periods);
        let rows = repeat(|| sqlx::query(DUE).bind(names).bind(periods).fetch_all(database)).await;
        let doing = |error| classify(error, "looking at schedules");
        let due =
            rows.map_err(doing)?.iter().map(|row| row.try_get("name")).collect::<Result<Vec<String>, _>>();
        let due = due.map_err(doing)?;
        Ok(schedules.iter().filter(|spec| due.contains(&name_of(spec))).cloned().collect())
    }
}

fn name_of(spec: &ScheduleSpec) -> String {
    format!("{} {}", spec.entity, spec.run_type.as_str())
}
