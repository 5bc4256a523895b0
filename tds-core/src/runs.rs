//! Sync runs: a list read page by page, each page committed with its checkpoint.

pub(crate) mod plan;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::plan::{DetailWay, ListCost, RunPlan};
pub use crate::ids::RunId;
use crate::{
    error::Result,
    queue::{LeaseToken, NewItem, Page, WorkerId},
    record::{EntityType, RecordId},
};

/// What kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunType {
    /// Everything, deletions too.
    Full,
    /// What changed.
    Incremental,
    /// A comparison.
    Verify,
    /// Product images.
    Images,
}

impl RunType {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Full, Self::Incremental, Self::Verify, Self::Images];

    /// The name as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Verify => "verify",
            Self::Images => "images",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// Waits for a process to take it.
    Pending,
    /// Is listing, or waits for its items to end.
    Running,
    /// Every record it listed has ended well.
    Completed,
    /// Every record has ended, some as dead letters, or deletions are held back.
    CompletedWithErrors,
    /// The list could not be read.
    Failed,
    /// A person stopped it. What was done stays.
    Cancelled,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Completed,
        Self::CompletedWithErrors,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::CompletedWithErrors => "completed_with_errors",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// True while a second run of the entity type is refused.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// A request for a run.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Of what.
    pub entity: EntityType,
    /// Which kind.
    pub run_type: RunType,
    /// Where the data comes from, such as `zoho`.
    pub source_type: String,
    /// Changes since then; `None` in an incremental run: since the cursor, or everything where there is none.
    pub since: Option<OffsetDateTime>,
    /// Who requests the run: `schedule`, `api`, `cli`.
    pub requested_by: String,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Which kind.
    pub run_type: RunType,
    /// Of what.
    pub entity_type: EntityType,
    /// Where the data comes from.
    pub source_type: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Records listed so far.
    pub total_items: i64,
    /// Of these, ended.
    pub processed_items: i64,
    /// Of these, ended as dead letters.
    pub failed_items: i64,
    /// Of the ended, found unchanged already by the list.
    pub unchanged_items: i64,
    /// Pages committed, the look for deletions of a full sync among them.
    pub pages: i64,
    /// How it reads and why; `None` before its first page is asked for.
    pub plan: Option<RunPlan>,
    /// Calls to the source that were made for it.
    pub calls: i64,
    /// The same for each record that it brought news of; `None` where there was none.
    pub calls_per_record: Option<f64>,
    /// The list was read to its end.
    pub listing_done: bool,
    /// How far it is, 0 to 100; against the last complete run while the list is being read.
    pub progress_percent: f64,
    /// Listed changes since then.
    pub since: Option<OffsetDateTime>,
    /// When the request was stored.
    pub created_at: OffsetDateTime,
    /// When it first ran.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub completed_at: Option<OffsetDateTime>,
    /// What went wrong, and what to do.
    pub error_log: Option<String>,
    /// Who requested the run.
    pub requested_by: Option<String>,
    /// The database it writes to, as `host:port/name`.
    pub target_database: Option<String>,
    /// Deletions that wait for a person's confirmation.
    pub held_deletions: i64,
}

impl Run {
    /// The progress in percent, from 0 to 100. While the list is being read, the run is compared with the number of records
    /// that the last run of its kind listed (`expected`), and has no more than 99 percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
    pub fn progress(&self, expected: Option<i64>) -> f64 {
        if matches!(self.status, RunStatus::Completed | RunStatus::CompletedWithErrors) {
            return 100.0;
        }
        let (listed, expected) = (self.total_items, expected.unwrap_or(0));
        let total = if self.listing_done { listed } else { listed.max(expected) };
        if total == 0 {
            return 0.0;
        }
        let most = if self.listing_done { 100.0 } else { 99.0 };
        let percent = self.processed_items as f64 / total as f64 * 100.0;
        (percent * 100.0).round().clamp(0.0, most * 100.0) / 100.0
    }

    /// Calls for each record that a run brought news of.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn calls_for_each(calls: i64, processed: i64, unchanged: i64) -> Option<f64> {
        let news = processed - unchanged;
        (news > 0).then(|| calls as f64 / news as f64)
    }
}

/// A run in our hands until its lease ends.
#[derive(Clone, Debug)]
pub struct RunLease {
    /// The run.
    pub run: Run,
    /// Proof that it is ours.
    pub token: LeaseToken,
    /// Where to go on.
    pub checkpoint: Checkpoint,
    /// What earlier runs of the entity type left behind.
    pub history: RunHistory,
}

/// How many completed runs a [`RunHistory`] has at most.
pub const HISTORY: usize = 20;

/// What the runs of an entity type left behind.
#[derive(Clone, Debug, Default)]
pub struct RunHistory {
    /// Up to when changes are known to be read; set when a run ends.
    pub cursor: Option<OffsetDateTime>,
    /// How many records the last full list had whose run ended; `None` before the first.
    pub last_full_count: Option<i64>,
    /// The last runs that completed without an error, newest first, [`HISTORY`] at most.
    pub completed: Vec<Run>,
}

/// The position of a run, committed with each page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// Where the next page begins; `None` before the first.
    pub cursor: Option<String>,
    /// The lower end of the window.
    #[serde(with = "time::serde::rfc3339::option")]
    pub window_from: Option<OffsetDateTime>,
    /// The upper end, frozen at the first page; the entity's cursor moves there when the run ends.
    #[serde(with = "time::serde::rfc3339::option")]
    pub window_to: Option<OffsetDateTime>,
    /// Pages committed.
    pub pages: i64,
    /// The list was read to its end; only the sweep for deletions may remain.
    pub listed: bool,
    /// A person let the run go on after it had ended: a list that is far shorter than the last one is believed.
    pub resumed: bool,
}

/// What one page changes, in one transaction.
#[derive(Clone, Debug)]
pub struct PageCommit {
    /// Every id of the page that this run did not list before counts in `total_items`.
    pub listed: Vec<RecordId>,
    /// Work for the rows that need any; their end counts in `processed_items`.
    pub items: Vec<NewItem>,
    /// The new position.
    pub checkpoint: Checkpoint,
    /// This was the last page.
    pub last: bool,
}

/// Which runs an operator means.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this entity type.
    pub entity: Option<EntityType>,
    /// Only of this status.
    pub status: Option<RunStatus>,
}

/// The ledger of runs, for processes that execute them.
///
/// # Contract
/// - At most one run of an entity type is active.
/// - A run is leased to one process at a time; every write proves the lease, or fails with kind `Conflict`. A run whose
///   lease ran out is taken over at its last committed page.
/// - A run ends when its list was read to the end and every listed record has ended.
#[async_trait]
pub trait SyncRun: Send + Sync {
    /// Takes a pending run, or one whose process died; with `among`, one of these runs only. The run is `running` then.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn claim_run(
        &self,
        worker: &WorkerId,
        lease: Duration,
        among: Option<&[RunId]>,
    ) -> Result<Option<RunLease>>;

    /// Returns when there may be a run to take, or after the timeout. A store that hears of no new runs just waits.
    async fn wait_for_run(&self, timeout: Duration) {
        tokio::time::sleep(timeout).await;
    }

    /// Extends the lease, and keeps the plan with the run where one is given.
    ///
    /// # Errors
    /// `Conflict`: the run was cancelled or the lease was lost.
    async fn renew_run(
        &self,
        id: RunId,
        token: LeaseToken,
        lease: Duration,
        plan: Option<&RunPlan>,
    ) -> Result<()>;

    /// Commits a page: its items, counts and checkpoint together. A page whose number (`checkpoint.pages`)
    /// was committed before changes nothing, so that a commit with an unknown outcome can be repeated. Gives the number
    /// of records that the run has listed so far.
    ///
    /// # Errors
    /// `Conflict`: the run was cancelled or the lease was lost.
    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<i64>;

    /// How many live records the target has, and which of them no page of this run listed although they
    /// were first seen before it began and not observed since. Only meaningful before the last page is committed.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)>;

    /// Ends the run before its list was read to the end, or lets it end with a question to a person.
    ///
    /// # Errors
    /// `Conflict`: the run was cancelled or the lease was lost.
    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()>;
}

/// How a process ends a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The run cannot go on, and fails now. A person can resume the run.
    Failed {
        /// What went wrong, and what to do.
        error: String,
    },
    /// Deletions wait for a person. The last page is still committed; the run ends `completed_with_errors` then.
    DeletionsHeld {
        /// The records that may be gone.
        ids: Vec<RecordId>,
        /// Why nobody but a person decides.
        reason: String,
    },
}

/// The ledger of runs, for people and schedules.
#[async_trait]
pub trait SyncRunOperator: Send + Sync {
    /// Stores the request for a run.
    ///
    /// # Errors
    /// `Conflict`: a run of the entity type is active.
    async fn create(&self, run: NewRun) -> Result<Run>;

    /// Stops a run; what was done stays. What the run queued and nobody else waits for is taken out of the queue, in work
    /// or not, and kept for [`SyncRunOperator::resume`].
    ///
    /// # Errors
    /// `Conflict`: the run has ended. `NotFound`: there is no such run.
    async fn cancel(&self, id: RunId) -> Result<Run>;

    /// Takes out of the queue what [`SyncRunOperator::cancel`] could not take out, because some session had locked it or
    /// because the process ended meanwhile. A store that cancels in one step has nothing to do.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn finish_cancelling(&self) -> Result<()> {
        Ok(())
    }

    /// Lets a failed or cancelled run go on at its checkpoint, under the same id, marked as `resumed`; what cancelling
    /// took out of the queue is queued again.
    ///
    /// # Errors
    /// `Conflict`: the run has neither failed nor was cancelled, or another run of the entity type is active.
    /// `NotFound`: there is no such run.
    async fn resume(&self, id: RunId) -> Result<Run>;

    /// Releases held deletions: each is confirmed at the source as an item of the run, which is active again. Gives their
    /// number.
    ///
    /// # Errors
    /// `Conflict`: another run of the entity type is active. `NotFound`: there is no such run.
    async fn confirm_deletions(&self, id: RunId) -> Result<u64>;

    /// One run.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn get_run(&self, id: RunId) -> Result<Option<Run>>;

    /// One page of runs, newest first.
    ///
    /// # Errors
    /// `Invalid`: the cursor is not one that a page gave.
    async fn list_runs<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>>;

    /// What the runs of an entity type left behind.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn history(&self, entity: &EntityType) -> Result<RunHistory>;
}
