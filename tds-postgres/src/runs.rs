//! Runs: their leases and pages, and the requests of operators.

mod cancel;
mod page;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{
    Row as _,
    postgres::{PgQueryResult, PgRow},
    types::Json,
};
use time::OffsetDateTime;

use tds_core::{
    error::{Error, Result},
    lock::lock,
    queue::{LeaseToken, Page, WorkerId},
    record::{EntityType, RecordId},
    runs::{
        Checkpoint, HISTORY, NewRun, PageCommit, Run, RunEnd, RunFilter, RunHistory, RunId, RunLease,
        RunPlan, RunStatus, RunType, Selection, SyncRun, SyncRunOperator, VerifyPart,
    },
};

use crate::{
    PgStore, Tx,
    db::{
        error::{Doing as _, classify, is_locked, of_postgres},
        page::{below, page, rows},
        retry::{ALONE, FOR_OPERATOR, IN_BATCH, repeat},
        text::{entity_of, one_of, seconds, storable},
    },
    queue::fold::enqueue_ahead,
};

const CREATE: &str = "
INSERT INTO tds_sync_runs (id, run_type, entity_type, source_type, since, requested_by, target_database, selection,
  verification, repair)
SELECT new.id, $1, $2, $3, $4, $5, $6, $7, CASE WHEN $1 = 'verify' THEN COALESCE($8, new.id) END, $9
  FROM (SELECT nextval(pg_get_serial_sequence('tds_sync_runs', 'id')) AS id) AS new RETURNING id
";

// MATERIALIZED: a sub-select with LIMIT and SKIP LOCKED could be executed more than once.
const CLAIM: &str = concat!(
    "WITH free AS MATERIALIZED (
  SELECT id FROM tds_sync_runs WHERE ",
    include_str!("../sql/parts/free_run.sql"),
    "    AND ($1::bigint[] IS NULL OR id = ANY($1))
   ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE tds_sync_runs r SET status = 'running', started_at = COALESCE(r.started_at, clock_timestamp()),
  lease_token = nextval('tds_lease_seq'), lease_owner = $2,
  lease_expires_at = clock_timestamp() + make_interval(secs => $3)
 FROM free WHERE r.id = free.id RETURNING r.id
"
);

const RENEW: &str = "
UPDATE tds_sync_runs SET lease_expires_at = clock_timestamp() + make_interval(secs => $3), plan = COALESCE($4, plan)
 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const HOLD: &str = "
UPDATE tds_sync_runs SET held_ids = $3, error_log = $4 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const RECORDS_FAILED: &str = "
UPDATE tds_sync_runs SET failed_items = $3, error_log = $4 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const FAIL: &str = "
UPDATE tds_sync_runs SET status = 'failed', error_log = $3, completed_at = clock_timestamp(), lease_token = NULL,
  lease_expires_at = NULL
 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const CURSOR: &str = "SELECT cursor, last_full_count FROM tds_cursors WHERE entity_type = $1";

const GET: &str = concat!(include_str!("../sql/parts/runs.sql"), "WHERE r.id = $1");

const LIST: &str = concat!(
    include_str!("../sql/parts/runs.sql"),
    "
 WHERE ($1::text IS NULL OR r.entity_type = $1) AND ($2::text IS NULL OR r.status = $2) AND r.id < $3
   AND ($5::text IS NULL OR r.run_type = $5)
 ORDER BY r.id DESC LIMIT $4
"
);

#[async_trait]
impl SyncRun for PgStore {
    async fn claim_run(
        &self,
        worker: &WorkerId,
        lease: Duration,
        among: Option<&[RunId]>,
    ) -> Result<Option<RunLease>> {
        let among: &Option<Vec<i64>> = &among.map(|runs| runs.iter().map(|run| run.0).collect());
        let take = || async {
            let mut tx = self.database.begin().await?;
            let claimed = sqlx::query_scalar::<_, i64>(CLAIM)
                .bind(among)
                .bind(storable(&worker.0))
                .bind(seconds(lease))
                .fetch_optional(&mut tx)
                .await?;
            let Some(id) = claimed else { return Ok(None) };
            let row = sqlx::query(GET).bind(id).fetch_one(&mut tx).await?;
            let run = run_of(&row)?;
            let history = history_of(&run.entity_type, &mut tx).await?;
            tx.commit().await?;
            lease_of(&row, run, history).map(Some)
        };
        repeat(ALONE, take).await.doing("taking a run")
    }

    async fn wait_for_run(&self, timeout: Duration) {
        self.work.wait_for_run(timeout).await;
    }

    async fn renew_run(
        &self,
        id: RunId,
        token: LeaseToken,
        lease: Duration,
        plan: Option<&RunPlan>,
    ) -> Result<()> {
        let doing = "renewing a run";
        let plan = plan.map(serde_json::to_value).transpose().map_err(|error| {
            Error::internal(format!("{doing}: its plan cannot be written as JSON")).with_source(error)
        })?;
        let renew = sqlx::query(RENEW).bind(id.0).bind(token.0).bind(seconds(lease)).bind(plan);
        leased(id, renew.execute(&self.database).await, doing)?;
        if lease.is_zero() {
            self.work.announce_run().await;
        }
        Ok(())
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<i64> {
        let (database, page) = (&self.database, &page);
        let committed = repeat(IN_BATCH, || page::commit(database, id, token, page)).await;
        if committed.as_ref().is_err_and(is_locked) {
            self.queue_ahead(id, page).await;
        }
        let listed = committed.doing("committing a page")?.ok_or_else(|| not_ours(id))?;
        self.work.announce();
        Ok(listed)
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        let missing = page::missing(&self.database, id, entity).await;
        missing.doing("looking for records that were not listed")
    }

    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()> {
        let (write, doing) = match &end {
            RunEnd::Failed { error } => {
                (sqlx::query(FAIL).bind(id.0).bind(token.0).bind(storable(error)), "ending a run")
            }
            RunEnd::DeletionsHeld { ids, reason } => {
                let ids: Vec<&str> = ids.iter().map(RecordId::as_str).collect();
                let hold = sqlx::query(HOLD).bind(id.0).bind(token.0).bind(ids).bind(storable(reason));
                (hold, "holding deletions back")
            }
            RunEnd::RecordsFailed { failed, reason } => {
                let failed = i64::try_from(*failed).unwrap_or(i64::MAX);
                let write = sqlx::query(RECORDS_FAILED).bind(id.0).bind(token.0).bind(failed);
                (write.bind(storable(reason)), "storing which records failed")
            }
        };
        leased(id, write.execute(&self.database).await, doing)
    }
}

#[async_trait]
impl SyncRunOperator for PgStore {
    async fn create(&self, run: NewRun) -> Result<Run> {
        let id = sqlx::query_scalar(CREATE)
            .bind(run.run_type.as_str())
            .bind(run.entity.as_str())
            .bind(storable(&run.source_type))
            .bind(run.since)
            .bind(storable(&run.requested_by))
            .bind(self.database.target())
            .bind(run.selection.map(Json))
            .bind(run.verify.and_then(|part| part.verification).map(|first| first.0))
            .bind(run.verify.is_some_and(|part| part.repair))
            .fetch_one(&self.database)
            .await
            .map_err(|error| active_or(error, &run.entity, "storing a run"))?;
        self.work.announce_run().await;
        self.known_run(RunId(id)).await
    }

    async fn cancel(&self, id: RunId) -> Result<Run> {
        let cancelled = cancel::cancel(&self.database, id).await.doing("cancelling a run")?;
        let run = self.known_run(id).await?;
        if !cancelled {
            return Err(Error::conflict(format!("run {id} has ended: {}", run.status.as_str())));
        }
        Ok(run)
    }

    async fn finish_cancelling(&self) -> Result<()> {
        let finished = cancel::finish(&self.database).await;
        finished.doing("removing items of cancelled runs from the queue")
    }

    async fn resume(&self, id: RunId) -> Result<Run> {
        let run = self.known_run(id).await?;
        let database = &self.database;
        let resumed = repeat(FOR_OPERATOR, || cancel::resume(database, id))
            .await
            .map_err(|error| active_or(error, &run.entity_type, "resuming a run"))?;
        if !resumed {
            return Err(Error::conflict(format!(
                "run {id} is {}, so there is nothing to resume",
                run.status.as_str()
            )));
        }
        self.work.announce_run().await;
        self.work.announce();
        self.known_run(id).await
    }

    async fn confirm_deletions(&self, id: RunId) -> Result<u64> {
        let run = self.known_run(id).await?;
        let database = &self.database;
        let released = repeat(FOR_OPERATOR, || page::confirm(database, id))
            .await
            .map_err(|error| active_or(error, &run.entity_type, "releasing deletions"))?;
        self.work.announce();
        Ok(released)
    }

    async fn get_run(&self, id: RunId) -> Result<Option<Run>> {
        let run = sqlx::query(GET).bind(id.0).try_map(|row: PgRow| run_of(&row));
        run.fetch_optional(&self.database).await.doing("reading a run")
    }

    async fn list_runs<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>> {
        let runs = sqlx::query(LIST)
            .bind(filter.entity.as_ref().map(EntityType::as_str))
            .bind(filter.status.map(RunStatus::as_str))
            .bind(below(cursor)?)
            .bind(rows(limit))
            .bind(filter.run_type.map(RunType::as_str))
            .try_map(|row: PgRow| run_of(&row))
            .fetch_all(&self.database)
            .await
            .doing("listing runs")?;
        Ok(page(runs, limit, |run| run.id.0))
    }

    async fn history(&self, entity: &EntityType) -> Result<RunHistory> {
        let history = async { history_of(entity, &mut self.database.begin().await?).await };
        history.await.doing("reading the history of runs")
    }
}

/// Reads the cursor and the recent completed runs that earlier runs of the entity type left.
async fn history_of(entity: &EntityType, tx: &mut Tx) -> Result<RunHistory, sqlx::Error> {
    let cursor = sqlx::query_as(CURSOR).bind(entity.as_str());
    let cursor: Option<(OffsetDateTime, Option<i64>)> = cursor.fetch_optional(&mut *tx).await?;
    let completed = sqlx::query(LIST)
        .bind(entity.as_str())
        .bind(RunStatus::Completed.as_str())
        .bind(i64::MAX)
        .bind(rows(HISTORY))
        .bind(None::<&str>)
        .try_map(|row: PgRow| run_of(&row))
        .fetch_all(tx)
        .await?;
    Ok(RunHistory {
        cursor: cursor.map(|(cursor, _)| cursor),
        last_full_count: cursor.and_then(|(_, count)| count),
        completed: page(completed, HISTORY, |run| run.id.0).items,
    })
}

impl PgStore {
    /// Enqueues the items of a page before the page itself. A page that needs a locked record waits, and its run waits
    /// with it. The other items of the page need not wait. They are enqueued once for each page. The run waits for them
    /// only when the page is committed.
    async fn queue_ahead(&self, id: RunId, page: &PageCommit) {
        let page_of_run = (id, page.checkpoint.pages);
        if lock(&self.ahead).replace(page_of_run) == Some(page_of_run) {
            return;
        }
        let queued = enqueue_ahead(&self.database, page.items.iter().collect()).await;
        if let Ok(Some(error)) | Err(error) = queued {
            tracing::debug!(run = %id, %error, "some work of a page waits for a lock");
        }
        self.work.announce();
    }

    async fn known_run(&self, id: RunId) -> Result<Run> {
        self.get_run(id).await?.ok_or_else(|| Error::not_found(format!("there is no run {id}")))
    }
}

/// Checks that a write that proves its lease changed a row.
fn leased(id: RunId, written: Result<PgQueryResult, sqlx::Error>, doing: &str) -> Result<()> {
    if written.doing(doing)?.rows_affected() == 0 { Err(not_ours(id)) } else { Ok(()) }
}

fn not_ours(id: RunId) -> Error {
    Error::conflict(format!("the lease of run {id} was lost"))
}

/// Returns the error of a write. A unique index refuses a second active run of an entity type.
fn active_or(error: sqlx::Error, entity: &EntityType, doing: &str) -> Error {
    if of_postgres(&error).is_some_and(|cause| cause.constraint() == Some("tds_runs_active")) {
        return Error::conflict(format!("a run of {entity} is active"));
    }
    classify(error, doing)
}

/// Reads a run.
fn run_of(row: &PgRow) -> Result<Run, sqlx::Error> {
    Ok(Run {
        id: RunId(row.try_get("id")?),
        run_type: one_of(RunType::ALL, RunType::as_str, "run type", row.try_get("run_type")?)?,
        entity_type: entity_of(row.try_get("entity_type")?)?,
        source_type: row.try_get("source_type")?,
        status: one_of(RunStatus::ALL, RunStatus::as_str, "run status", row.try_get("status")?)?,
        total_items: row.try_get("total_items")?,
        processed_items: row.try_get("processed_items")?,
        failed_items: row.try_get("failed_items")?,
        unchanged_items: row.try_get("unchanged_items")?,
        pages: row.try_get("pages")?,
        // The plan is only for display. A plan that another version stored in its own format is not shown.
        plan: row.try_get::<Option<Json<RunPlan>>, _>("plan").ok().flatten().map(|Json(plan)| plan),
        calls: row.try_get("calls")?,
        listing_done: row.try_get("listing_done")?,
        expected_items: row.try_get("expected")?,
        since: row.try_get("since")?,
        selection: row.try_get::<Option<Json<Selection>>, _>("selection")?.map(|Json(selection)| selection),
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        completed_at: row.try_get("completed_at")?,
        error_log: row.try_get("error_log")?,
        requested_by: row.try_get("requested_by")?,
        target_database: row.try_get("target_database")?,
        held_deletions: row.try_get("held")?,
        verify: row
            .try_get::<Option<i64>, _>("verification")?
            .map(|first| {
                Ok::<_, sqlx::Error>(VerifyPart {
                    verification: Some(RunId(first)),
                    repair: row.try_get("repair")?,
                })
            })
            .transpose()?,
    })
}

/// Reads a run that was just leased.
fn lease_of(row: &PgRow, run: Run, history: RunHistory) -> Result<RunLease, sqlx::Error> {
    let stored: Option<Json<Checkpoint>> = row.try_get("checkpoint")?;
    let checkpoint = stored.map_or_else(Checkpoint::default, |Json(checkpoint)| checkpoint);
    Ok(RunLease { run, token: LeaseToken(row.try_get("lease_token")?), checkpoint, history })
}
