//! Leadership and due times of schedules, measured by the database's clock.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use tds_core::{
    engine::{Schedule, ScheduleSpec},
    error::Result,
    lock::lock,
    queue::WorkerId,
};
use tokio::time::Instant;

use crate::{
    PgStore,
    db::{
        error::Doing as _,
        retry::{ALONE, repeat},
        text::{seconds, storable},
    },
};

const LEADER: &str = "scheduler";

// A lease whose end is later than any lease can end was written by a clock that was ahead. The lease counts as
// expired.
const LEAD: &str = "
INSERT INTO tds_leases AS l (name, owner, expires_at)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
 WHERE l.owner = excluded.owner OR l.expires_at <= clock_timestamp()
    OR l.expires_at > clock_timestamp() + make_interval(secs => 10 * $3)
RETURNING l.owner
";

// A new schedule is not in `known`, so it is not due. A shorter period takes effect at once.
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

// A queue time or claim time that is later than now was written by a clock that was ahead. Such items become due, and
// their leases end within a minute unless their workers renew the leases. The statement skips locked rows, and the next
// search looks at them.
const SET_BACK: &str = "
WITH runs AS (
  UPDATE tds_sync_runs SET lease_expires_at = now() + interval '1 minute'
   WHERE status = 'running' AND lease_expires_at > now() + interval '1 hour'),
c AS MATERIALIZED (
  SELECT id FROM tds_queue_live
   WHERE queued_at > now() + interval '1 minute' OR processing_started_at > now() + interval '1 minute'
   ORDER BY entity_type, zoho_entity_id, entity_id FOR UPDATE SKIP LOCKED)
UPDATE tds_queue_live q SET queued_at = LEAST(q.queued_at, now()), run_at = LEAST(q.run_at, now()),
  processing_started_at = CASE WHEN q.processing_started_at IS NOT NULL THEN LEAST(q.processing_started_at, now()) END,
  lease_expires_at = CASE WHEN q.lease_expires_at IS NOT NULL
                          THEN LEAST(q.lease_expires_at, now() + interval '1 minute') END
  FROM c WHERE q.id = c.id
";

/// How often the leader looks for times that are later than now.
const LOOK_EVERY: Duration = Duration::from_secs(60);

#[async_trait]
impl Schedule for PgStore {
    async fn lead(&self, worker: &WorkerId, lease: Duration) -> Result<bool> {
        let lead = sqlx::query(LEAD).bind(LEADER).bind(storable(&worker.0)).bind(seconds(lease));
        let leads = lead.fetch_optional(&self.database).await.doing("requesting the leadership")?;
        Ok(leads.is_some())
    }

    async fn resign(&self, worker: &WorkerId) -> Result<()> {
        let resign = sqlx::query("DELETE FROM tds_leases WHERE name = $1 AND owner = $2");
        let resign = resign.bind(LEADER).bind(storable(&worker.0));
        resign.execute(&self.database).await.map(drop).doing("giving the leadership up")
    }

    async fn due(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ScheduleSpec>> {
        self.set_back().await;
        // The first of several schedules with one name counts.
        let named: BTreeMap<String, f64> =
            schedules.iter().rev().map(|spec| (name_of(spec), seconds(spec.every))).collect();
        let names: &Vec<&str> = &named.keys().map(String::as_str).collect();
        let periods: &Vec<f64> = &named.values().copied().collect();
        let database = &self.database;
        let due = || sqlx::query_scalar::<_, String>(DUE).bind(names).bind(periods).fetch_all(database);
        let due = repeat(ALONE, due).await.doing("checking the schedules")?;
        Ok(schedules.iter().filter(|spec| due.contains(&name_of(spec))).cloned().collect())
    }
}

impl PgStore {
    /// Corrects times that are later than now, at most once per `LOOK_EVERY`. The leader repeats the search anyway,
    /// so a failure is only logged.
    async fn set_back(&self) {
        {
            let mut last = lock(&self.set_back_at);
            if last.is_some_and(|last| last.elapsed() < LOOK_EVERY) {
                return;
            }
            *last = Some(Instant::now());
        }
        match sqlx::query(SET_BACK).execute(&self.database).await.doing("looking for times in the future") {
            Ok(done) if done.rows_affected() > 0 => {
                tracing::warn!(
                    items = done.rows_affected(),
                    "the times of some items are in the future, because a clock was ahead; the items are due now"
                );
                self.work.announce();
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(
                    error = %error.chain(),
                    "the due times of the queue could not be checked; trying again"
                );
            }
        }
    }
}

fn name_of(spec: &ScheduleSpec) -> String {
    format!("{} {}", spec.entity, spec.run_type.as_str())
}
