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
    source::ListFacts,
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

/// A wish for a run.
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
    /// Who wants it: `schedule`, `api`, `cli`.
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
    /// When the wish was stored.
    pub created_at: OffsetDateTime,
    /// When it first ran.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub completed_at: Option<OffsetDateTime>,
    /// What went wrong, and what to do.
    pub error_log: Option<String>,
    /// Who wanted it.
    pub requested_by: Option<String>,
    /// The database it writes to, as `host:port/name`.
    pub target_database: Option<String>,
    /// Deletions that wait for a person's confirmation.
    pub held_deletions: i64,
}

impl Run {
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

/// The ledger of runs.
///
/// - At most one run of an entity type is active; a second wish is refused with kind `Conflict`.
/// - A run is leased to one process at a time; every write of its listing proves the lease, or fails with
///   kind `Conflict`. A run whose lease ran out is taken over at its last committed page.
/// - A run ends when its list was read to the end and every listed record has ended.
#[async_trait]
pub trait SyncRun: Send + Sync {
    /// Stores a wish.
    async fn create(&self, run: NewRun) -> Result<Run>;

    /// Takes a pending run, or one whose process died. It is `running` then.
    async fn claim_run(&self, worker: &WorkerId, lease: Duration) -> Result<Option<RunLease>>;

    /// The same among these runs only.
    async fn claim_run_of(
        &self,
        worker: &WorkerId,
        lease: Duration,
        runs: &[RunId],
    ) -> Result<Option<RunLease>>;

    /// Returns when there may be a run to take, or after the timeout. A hint: runs of other processes need none.
    async fn wait_for_run(&self, timeout: Duration) {
        tokio::time::sleep(timeout).await;
    }

    /// Extends the lease. `Conflict`: it was cancelled or lost, stop.
    async fn renew_run(&self, id: RunId, token: LeaseToken, lease: Duration) -> Result<()>;

    /// Commits a page: its items, counts and checkpoint together. A page whose number (`checkpoint.pages`)
    /// was committed before changes nothing, so that a commit with an unknown outcome can be repeated.
    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<()>;

    /// Keeps the plan with the run, in the place of one that was there.
    async fn keep_plan(&self, id: RunId, token: LeaseToken, plan: &RunPlan) -> Result<()>;

    /// How many live records the target has, and which of them no page of this run listed although they
    /// were first seen before it began and not observed since. Only meaningful before the last page is committed.
    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)>;

    /// Notes that deletions wait for a person, with the reason in `error_log`; the run ends `completed_with_errors`.
    async fn hold_deletions(
        &self,
        id: RunId,
        token: LeaseToken,
        ids: Vec<RecordId>,
        reason: &str,
    ) -> Result<()>;

    /// Releases held deletions: each is confirmed at the source as an item of the run, which is active again. Answers how many.
    async fn confirm_deletions(&self, id: RunId) -> Result<u64>;

    /// Ends a run that cannot go on. It can be resumed.
    async fn fail(&self, id: RunId, token: LeaseToken, error: &str) -> Result<()>;

    /// Stops a run; what was done stays. What the run queued and nobody else waits for is taken out of the queue, in work or
    /// not, and kept for [`SyncRun::resume`]. `Conflict` where it has ended.
    async fn cancel(&self, id: RunId) -> Result<Run>;

    /// Takes out of the queue what [`SyncRun::cancel`] could not take out, because somebody had locked it or because the
    /// process ended meanwhile. A store that cancels in one step has nothing to do.
    async fn finish_cancelling(&self) -> Result<()> {
        Ok(())
    }

    /// Lets a failed or cancelled run go on at its checkpoint, under the same id, marked as `resumed`; what cancelling took
    /// out of the queue is queued again.
    async fn resume(&self, id: RunId) -> Result<Run>;

    /// One run.
    async fn get_run(&self, id: RunId) -> Result<Option<Run>>;

    /// Newest first.
    async fn list_runs(&self, filter: &RunFilter, limit: usize) -> Result<Vec<Run>> {
        Ok(self.runs_page(filter, limit, None).await?.items)
    }

    /// One page, newest first.
    async fn runs_page<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>>;

    /// Up to when the entity type's changes are known to be read; set when a run ends.
    async fn cursor(&self, entity: &EntityType) -> Result<Option<OffsetDateTime>>;

    /// How many records the last full list of the entity type had that ended; `None` before the first.
    async fn last_full_count(&self, entity: &EntityType) -> Result<Option<i64>>;

    /// What is known of the entity type's list.
    async fn list_facts(&self, entity: &EntityType) -> Result<ListFacts>;

    /// Takes the place of what was known.
    async fn keep_list_facts(&self, entity: &EntityType, facts: ListFacts) -> Result<()>;
}
