//! The ledger of runs.

use std::{sync::PoisonError, time::Duration};

use async_trait::async_trait;
use sqlx::Row as _;
use time::OffsetDateTime;

use tds_core::{
    error::{Error, Result},
    queue::{LeaseToken, NewItem, Page, Waiter, WorkerId},
    record::{EntityType, RecordId},
    runs::{NewRun, PageCommit, Run, RunFilter, RunId, RunLease, RunPlan, SyncRun},
    source::ListFacts,
};

use crate::{
    PgStore, cancel,
    error::{classify, is_locked, of_postgres},
    list_facts,
    page::{below, page, rows},
    queue::enqueue_all,
    run_page,
    run_row::{lease_of, run_of, select_runs},
    store::{repeat, repeat_batch, repeat_for_operator, seconds, storable},
};

const CREATE: &str = "
INSERT INTO tds_sync_runs (run_type, entity_type, source_type, since, requested_by, target_database)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
";

const CLAIM: &str = select_runs!(
    "(WITH free AS MATERIALIZED (
        SELECT id FROM tds_sync_runs
         WHERE (status = 'pending'
             OR status = 'running' AND NOT listing_done AND (lease_expires_at IS NULL OR lease_expires_at <= now()))
           AND ($1::bigint[] IS NULL OR id = ANY($1))
         ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
      SELECT * FROM tds_sync_runs WHERE id IN (SELECT id FROM free))",
    ""
);

const TAKE: &str = "
UPDATE tds_sync_runs SET status = 'running', started_at = COALESCE(started_at, clock_timestamp()),
  lease_token = nextval('tds_lease_seq'), lease_owner = $2,
  lease_expires_at = clock_timestamp() + make_interval(secs => $3)
 WHERE id = $1
";

const RENEW: &str = "
UPDATE tds_sync_runs SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const PLAN: &str = "
UPDATE tds_sync_runs SET plan = $3 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const HOLD: &str = "
UPDATE tds_sync_runs SET held_ids = $3, error_log = $4 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const FAIL: &str = "
UPDATE tds_sync_runs SET status = 'failed', error_log = $3, completed_at = clock_timestamp(), lease_token = NULL,
  lease_expires_at = NULL
 WHERE id = $1 AND lease_token = $2 AND status = 'running'
";

const GET: &str = select_runs!("tds_sync_runs", "WHERE r.id = $1");

const LIST: &str = select_runs!(
    "tds_sync_runs",
    "WHERE ($1::text IS NULL OR r.entity_type = $1) AND ($2::text IS NULL OR r.status = $2)
       AND r.id < $3
     ORDER BY r.id DESC LIMIT $4"
);

#[async_trait]
impl SyncRun for PgStore {
    async fn create(&self, run: NewRun) -> Result<Run> {
        let created = sqlx::query(CREATE)
            .bind(run.run_type.as_str())
            .bind(run.entity.as_str())
            .bind(storable(&run.source_type))
            .bind(run.since)
            .bind(storable(&run.requested_by))
            .bind(self.database.target())
            .fetch_one(&self.database)
            .await
            .map_err(|error| active_or(error, &run.entity, "storing a run"))?;
        let id = created.try_get("id").map_err(|error| classify(error, "storing a run"))?;
        self.runs.notify_one();
        self.known_run(RunId(id)).await
    }

    async fn claim_run(&self, worker: &WorkerId, lease: Duration) -> Result<Option<RunLease>> {
        self.take_run(worker, lease, None).await
    }

    async fn claim_run_of(
        &self,
        worker: &WorkerId,
        lease: Duration,
        runs: &[RunId],
    ) -> Result<Option<RunLease>> {
        self.take_run(worker, lease, Some(runs.iter().map(|run| run.0).collect())).await
    }

    async fn wait_for_run(&self, timeout: Duration) {
        // The time running out is the normal case.
        let _ = tokio::time::timeout(timeout, self.runs.notified()).await;
    }

    async fn renew_run(&self, id: RunId, token: LeaseToken, lease: Duration) -> Result<()> {
        let renewed =
            sqlx::query(RENEW).bind(id.0).bind(token.0).bind(seconds(lease)).execute(&self.database);
        self.leased(id, renewed.await.map(|done| done.rows_affected()), "renewing a run")
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<()> {
        let (database, page) = (&self.database, &page);
        let committed = repeat_batch(|| run_page::commit(database, id, token, page)).await;
        if committed.as_ref().is_err_and(is_locked) {
            self.queue_ahead(id, page).await;
        }
        self.leased(id, committed.map(u64::from), "committing a page")?;
        self.work.announce();
        Ok(())
    }

    async fn keep_plan(&self, id: RunId, token: LeaseToken, plan: &RunPlan) -> Result<()> {
        let doing = "keeping the plan of a run";
        let plan = serde_json::to_value(plan)
            .map_err(|error| Error::internal(format!("{doing}: it cannot be written")).with_source(error))?;
        let kept = sqlx::query(PLAN).bind(id.0).bind(token.0).bind(plan).execute(&self.database).await;
        self.leased(id, kept.map(|done| done.rows_affected()), doing)
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        run_page::missing(&self.database, id, entity)
            .await
            .map_err(|error| classify(error, "looking for records that were not listed"))
    }

    async fn hold_deletions(
        &self,
        id: RunId,
        token: LeaseToken,
        ids: Vec<RecordId>,
        reason: &str,
    ) -> Result<()> {
        let ids: Vec<&str> = ids.iter().map(RecordId::as_str).collect();
        let held = sqlx::query(HOLD).bind(id.0).bind(token.0).bind(ids).bind(storable(reason));
        let held = held.execute(&self.database).await;
        self.leased(id, held.map(|done| done.rows_affected()), "holding deletions back")
    }

    async fn confirm_deletions(&self, id: RunId) -> Result<u64> {
        let run = self.known_run(id).await?;
        let database = &self.database;
        let released = repeat_for_operator(|| run_page::confirm(database, id))
            .await
            .map_err(|error| active_or(error, &run.entity_type, "releasing deletions"))?;
        self.work.announce();
        Ok(released)
    }

    async fn fail(&self, id: RunId, token: LeaseToken, error: &str) -> Result<()> {
        let failed = sqlx::query(FAIL).bind(id.0).bind(token.0).bind(storable(error));
        let failed = failed.execute(&self.database).await;
        self.leased(id, failed.map(|done| done.rows_affected()), "ending a run")
    }

    async fn cancel(&self, id: RunId) -> Result<Run> {
        let cancelled = cancel::cancel(&self.database, id).await;
        let cancelled = cancelled.map_err(|error| classify(error, "cancelling a run"))?;
        let run = self.known_run(id).await?;
        if !cancelled {
            return Err(Error::conflict(format!("run {id} has ended: {}", run.status.as_str())));
        }
        Ok(run)
    }

    async fn finish_cancelling(&self) -> Result<()> {
        let finished = cancel::finish(&self.database).await;
        finished.map_err(|error| classify(error, "taking out what cancelled runs had queued"))
    }

    async fn resume(&self, id: RunId) -> Result<Run> {
        let run = self.known_run(id).await?;
        let database = &self.database;
        let resumed = repeat_for_operator(|| cancel::resume(database, id))
            .await
            .map_err(|error| active_or(error, &run.entity_type, "resuming a run"))?;
        if !resumed {
            return Err(Error::conflict(format!("run {id} is {}: nothing to resume", run.status.as_str())));
        }
        self.runs.notify_one();
        self.work.announce();
        self.known_run(id).await
    }

    async fn get_run(&self, id: RunId) -> Result<Option<Run>> {
        let row = sqlx::query(GET).bind(id.0).fetch_optional(&self.database).await;
        let doing = |error| classify(error, "reading a run");
        row.map_err(doing)?.as_ref().map(run_of).transpose().map_err(doing)
    }

    async fn runs_page<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>> {
        let found = sqlx::query(LIST)
            .bind(filter.entity.as_ref().map(EntityType::as_str))
            .bind(filter.status.map(tds_core::runs::RunStatus::as_str))
            .bind(below(cursor)?)
            .bind(rows(limit))
            .fetch_all(&self.database)
            .await;
        let doing = |error| classify(error, "listing runs");
        let runs = found.map_err(doing)?.iter().map(run_of).collect::<Result<Vec<_>, _>>();
        Ok(page(runs.map_err(doing)?, limit, |run| run.id.0))
    }

    async fn cursor(&self, entity: &EntityType) -> Result<Option<OffsetDateTime>> {
        let row = sqlx::query("SELECT cursor FROM tds_cursors WHERE entity_type = $1")
            .bind(entity.as_str())
            .fetch_optional(&self.database)
            .await;
        let doing = |error| classify(error, "reading a cursor");
        row.map_err(doing)?.map(|row| row.try_get("cursor")).transpose().map_err(doing)
    }

    async fn last_full_count(&self, entity: &EntityType) -> Result<Option<i64>> {
        let count = list_facts::last_full_count(&self.database, entity).await;
        count.map_err(|error| classify(error, "reading the length of the last full list"))
    }

    async fn list_facts(&self, entity: &EntityType) -> Result<ListFacts> {
        let facts = list_facts::read(&self.database, entity).await;
        facts.map_err(|error| classify(error, "reading what is known of a list"))
    }

    async fn keep_list_facts(&self, entity: &EntityType, facts: ListFacts) -> Result<()> {
        let kept = list_facts::keep(&self.database, entity, facts).await;
        kept.map_err(|error| classify(error, "keeping what is known of a list"))
    }
}

impl PgStore {
    /// `among`: only these; `None`: any.
    async fn take_run(
        &self,
        worker: &WorkerId,
        lease: Duration,
        among: Option<Vec<i64>>,
    ) -> Result<Option<RunLease>> {
        let among = &among;
        let take = || async {
            let mut tx = self.database.begin().await?;
            let free = sqlx::query(CLAIM).bind(among).fetch_optional(&mut tx).await?;
            let Some(row) = free else { return Ok(None) };
            let id: i64 = row.try_get("id")?;
            sqlx::query(TAKE)
                .bind(id)
                .bind(storable(&worker.0))
                .bind(seconds(lease))
                .execute(&mut tx)
                .await?;
            let row = sqlx::query(GET).bind(id).fetch_one(&mut tx).await?;
            tx.commit().await?;
            lease_of(&row).map(Some)
        };
        repeat(take).await.map_err(|error| classify(error, "taking a run"))
    }

    /// A page that needs a record that somebody has locked waits, and its run with it. The work of its other records does
    /// not: it is queued before, once for each page.
    async fn queue_ahead(&self, id: RunId, page: &PageCommit) {
        let page_of_run = (id, page.checkpoint.pages);
        let before = {
            let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
            ahead.replace(page_of_run)
        };
        if before == Some(page_of_run) {
            return;
        }
        let items: Vec<NewItem> =
            page.items.iter().map(|item| NewItem { waiter: Waiter::Operator, ..item.clone() }).collect();
        if let Err(error) = enqueue_all(&self.database, items.iter().collect(), Duration::ZERO).await {
            tracing::debug!(run = %id, %error, "some work of a page waits for a lock");
        }
        self.work.announce();
    }

    async fn known_run(&self, id: RunId) -> Result<Run> {
        self.get_run(id).await?.ok_or_else(|| Error::not_found(format!("there is no run {id}")))
    }

    /// A write that proves its lease touches one row.
    fn leased(&self, id: RunId, touched: Result<u64, sqlx::Error>, doing: &str) -> Result<()> {
        match touched {
            Ok(0) => Err(Error::conflict(format!("run {id} is not ours any more"))),
            Ok(_) => Ok(()),
            Err(error) => Err(classify(error, doing)),
        }
    }
}

/// A second active run of an entity type is refused by a unique index.
fn active_or(error: sqlx::Error, entity: &EntityType, doing: &str) -> Error {
    if of_postgres(&error).is_some_and(|cause| cause.constraint() == Some("tds_runs_active")) {
        return Error::conflict(format!("a run of {entity} is active"));
    }
    classify(error, doing)
}
