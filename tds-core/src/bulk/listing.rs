//! Reads the list of one run to its end.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::plan::{RowPlan, deletion_limit, plan_row};
use crate::{
    Cause, Checkpoint, Clock, Error, ErrorKind, Lane, ListPage, ListRequest, Listed, Mirror, NewItem,
    PageCommit, RecordId, RecordKey, Result, Retry, RetryPolicy, RunLease, RunType, Source, SyncRun, Work,
};

/// A source that stays throttled this long ends the run; it can be resumed.
const PATIENCE: Duration = Duration::from_secs(26 * 3600);
/// The window ends this long before its first answer: what changes while we read belongs to the next run.
const MARGIN: time::Duration = time::Duration::seconds(5);
/// How a page that fails for the moment is tried again.
const PAGE_RETRY: RetryPolicy =
    RetryPolicy { max_attempts: 6, base: Duration::from_millis(500), max: Duration::from_secs(60) };

/// One run on its way.
pub(super) struct Listing<'a> {
    pub(super) runs: &'a dyn SyncRun,
    pub(super) mirror: &'a dyn Mirror,
    pub(super) source: &'a dyn Source,
    pub(super) clock: &'a dyn Clock,
    pub(super) overlap: Duration,
    pub(super) lease: &'a RunLease,
}

impl Listing<'_> {
    /// Reads page after page from the checkpoint on; then, in a full sync, looks for what is gone.
    pub(super) async fn run(&self) -> Result<()> {
        let mut checkpoint = self.lease.checkpoint.clone();
        if checkpoint.pages == 0 {
            checkpoint.window_from = self.window_from().await?;
        }
        while !checkpoint.listed {
            let page = self.page(&checkpoint).await?;
            if page.next.is_some() && page.next == checkpoint.cursor {
                let message = "the source's list does not advance: it gave the position that was asked for";
                return Err(Error::new(ErrorKind::Protocol, Retry::Permanent, message));
            }
            checkpoint.window_to = checkpoint.window_to.or(Some(page.observed.began - MARGIN));
            checkpoint.listed = page.next.is_none();
            checkpoint.cursor.clone_from(&page.next);
            checkpoint.pages += 1;
            let commit = self.commit_of(page.rows, &checkpoint).await?;
            self.commit(commit).await?;
        }
        if self.sweeps() { self.sweep(checkpoint).await } else { Ok(()) }
    }

    /// Where an incremental run begins: what was asked for, or the cursor less an overlap.
    async fn window_from(&self) -> Result<Option<time::OffsetDateTime>> {
        let run = &self.lease.run;
        if run.since.is_some() || run.run_type == RunType::Full {
            return Ok(run.since);
        }
        let overlap = time::Duration::try_from(self.overlap).unwrap_or(time::Duration::MINUTE);
        Ok(self.runs.cursor(&run.entity_type).await?.map(|cursor| cursor - overlap))
    }

    fn lane(&self) -> Lane {
        if self.lease.run.run_type == RunType::Full { Lane::Full } else { Lane::Incremental }
    }

    /// Only a list of everything can show that something is gone.
    fn sweeps(&self) -> bool {
        self.lease.run.run_type == RunType::Full
            && self.lease.run.since.is_none()
            && self.source.profile().complete_list
    }

    /// One page, with patience: a throttled source is waited for, a failing one is tried a few times.
    async fn page(&self, checkpoint: &Checkpoint) -> Result<ListPage> {
        let request = ListRequest {
            since: checkpoint.window_from,
            cursor: checkpoint.cursor.clone(),
            lane: self.lane(),
        };
        let give_up = Instant::now() + PATIENCE;
        let mut failures = 0;
        loop {
            let error = match self.source.list(&request).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let wait = match error.retry() {
                Retry::Throttled { retry_after } if Instant::now() < give_up => retry_after,
                Retry::Transient { retry_after } if failures + 1 < PAGE_RETRY.max_attempts => {
                    failures += 1;
                    PAGE_RETRY.backoff(failures, 0.5).max(retry_after.unwrap_or_default())
                }
                _ => return Err(error),
            };
            tracing::warn!(run = %self.lease.run.id, error = %error.chain(), ?wait, "page could not be read; waiting");
            // Short steps, so that a wish for a long pause is looked at again when the source recovers early.
            tokio::time::sleep(wait.min(Duration::from_secs(300))).await;
        }
    }

    async fn commit_of(&self, rows: Vec<Listed>, checkpoint: &Checkpoint) -> Result<PageCommit> {
        let run = &self.lease.run;
        let rows = last_of_each(rows);
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id.clone()).collect();
        let states = self.mirror.states(&run.entity_type, &ids).await?;
        let (now, profile) = (self.clock.now(), self.source.profile());
        let mut items = Vec::new();
        let mut unchanged = 0;
        for row in rows {
            match plan_row(states.get(&row.id), &row, profile, run.run_type, now) {
                RowPlan::Unchanged => unchanged += 1,
                RowPlan::Queue => {
                    items.push(self.item(row.id, Work { version: row.version, payload: row.payload }));
                }
            }
        }
        let last = checkpoint.listed && !self.sweeps();
        Ok(PageCommit { listed: ids, items, unchanged, checkpoint: checkpoint.clone(), last })
    }

    fn item(&self, id: RecordId, work: Work) -> NewItem {
        let run = &self.lease.run;
        NewItem {
            key: RecordKey::new(run.entity_type.clone(), id),
            lane: self.lane(),
            work,
            cause: Cause::Run(run.id),
        }
    }

    /// Records that no page showed may be gone: each is asked for by id. Too many: a person decides.
    async fn sweep(&self, mut checkpoint: Checkpoint) -> Result<()> {
        let run = &self.lease.run;
        checkpoint.pages += 1;
        let (live, missing) = self.runs.missing(run.id, &run.entity_type).await?;
        let limit = deletion_limit(live);
        let many = i64::try_from(missing.len()).map_or(true, |count| count > limit);
        let mut commit =
            PageCommit { listed: Vec::new(), items: Vec::new(), unchanged: 0, checkpoint, last: true };
        if many {
            let reason = format!(
                "{} of {live} live {} were not in the list; more than {limit} at once are not marked as deleted \
                 by themselves. Check them at the source, then release them with `tds-server runs confirm-deletions {}`",
                missing.len(),
                run.entity_type,
                run.id
            );
            self.runs.hold_deletions(run.id, self.lease.token, missing, &reason).await?;
        } else {
            commit.items = missing.iter().map(|id| self.item(id.clone(), Work::fetch())).collect();
            commit.listed = missing;
        }
        self.commit(commit).await
    }

    /// Commits with patience: a database that is away for a moment costs nothing but time.
    async fn commit(&self, page: PageCommit) -> Result<()> {
        let mut failures = 0;
        loop {
            let error = match self.runs.commit_page(self.lease.run.id, self.lease.token, page.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            failures += 1;
            if !matches!(error.retry(), Retry::Transient { .. }) || failures >= PAGE_RETRY.max_attempts {
                return Err(error);
            }
            tracing::warn!(run = %self.lease.run.id, error = %error.chain(), "page could not be committed; trying again");
            tokio::time::sleep(PAGE_RETRY.backoff(failures, 0.5)).await;
        }
    }
}

/// A page may show a record twice while it is being edited: the later row counts.
fn last_of_each(rows: Vec<Listed>) -> Vec<Listed> {
    let newest: HashMap<RecordId, usize> =
        rows.iter().enumerate().map(|(index, row)| (row.id.clone(), index)).collect();
    let keep: HashSet<usize> = newest.into_values().collect();
    rows.into_iter().enumerate().filter(|(index, _)| keep.contains(index)).map(|(_, row)| row).collect()
}
