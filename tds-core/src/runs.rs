//! Sync runs. A run reads a list page by page; each page is committed together with the checkpoint of the run.

pub(crate) mod plan;
mod selection;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::{
    plan::{
        Cause, Cost, DailyCost, DetailWay, LaneCost, ListCost, ListLoad, Load, Period, RunPlan, daily_cost,
    },
    selection::Selection,
};
pub use crate::ids::RunId;
use crate::{
    closed_set::closed_set,
    error::Result,
    queue::{Lane, LeaseToken, NewItem, Page, WorkerId},
    record::{EntityType, RecordId},
};

closed_set! {
    /// The type of a run.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum RunType {
        /// A full sync: reads the whole list, and finds deletions.
        Full = "full",
        /// An incremental sync: reads the records that changed.
        Incremental = "incremental",
        /// A comparison of the target with the source.
        Verify = "verify",
        /// A download of product images.
        Images = "images",
    }
}

impl RunType {
    /// Returns the lane whose budget a run of this type spends. Its items have the same lane.
    #[must_use]
    pub fn lane(self) -> Lane {
        match self {
            Self::Full => Lane::Full,
            Self::Incremental => Lane::Incremental,
            Self::Verify | Self::Images => Lane::Verify,
        }
    }

    /// Returns true if a run of this type and one of the other type exclude each other: only one of them can be active
    /// for an entity type. Syncs exclude syncs; a comparison or a download of images may run beside them.
    #[must_use]
    pub fn excludes(self, other: Self) -> bool {
        let is_sync = |it| matches!(it, Self::Full | Self::Incremental);
        self == other || is_sync(self) && is_sync(other)
    }

    /// Returns the type of the runs to which the calls of a lane are attributed: the first type with this lane. The
    /// calls of some lanes belong to no run.
    #[must_use]
    pub fn of_lane(lane: Lane) -> Option<Self> {
        Self::ALL.into_iter().find(|run_type| run_type.lane() == lane)
    }
}

closed_set! {
    /// The status of a run.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum RunStatus {
        /// The run waits for a process to claim it.
        Pending = "pending",
        /// The run is listing, or it waits for its items to end.
        Running = "running",
        /// Every record that the run listed has ended without a failure.
        Completed = "completed",
        /// Every record that the run listed has ended, but some of them as dead letters, or deletions are held back.
        CompletedWithErrors = "completed_with_errors",
        /// The run could not be executed to its end, for example because the list could not be read.
        Failed = "failed",
        /// An operator cancelled the run. Its effects so far are kept.
        Cancelled = "cancelled",
    }
}

impl RunStatus {
    /// Returns true while the run is active: a second run of the entity type is refused.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// A request for a run.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The entity type of the records.
    pub entity: EntityType,
    /// The type of the run.
    pub run_type: RunType,
    /// The system that the records come from, such as `zoho`.
    pub source_type: String,
    /// Only changes since this time. In an incremental run, `None` means since the cursor of the entity type, or
    /// everything if there is no cursor.
    pub since: Option<OffsetDateTime>,
    /// Only this part of the entity type; `None` for everything, or for all changes.
    pub selection: Option<Selection>,
    /// For a run of type [`RunType::Verify`]: the verification that the run is a part of. `None` begins a verification
    /// that repairs nothing.
    pub verify: Option<VerifyPart>,
    /// The requester of the run, such as `schedule`, `api` or `cli`.
    pub requested_by: String,
}

/// The part that a run has in a verification. A verification has one run for each of its entity types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyPart {
    /// The verification: the id of its first run. `None` in the request for the first run.
    pub verification: Option<RunId>,
    /// Whether the records that differ are read again and written.
    pub repair: bool,
}

impl NewRun {
    /// Creates a request for a run without `since` and without a selection.
    #[must_use]
    pub fn new(
        entity: EntityType,
        run_type: RunType,
        source_type: impl Into<String>,
        requested_by: impl Into<String>,
    ) -> Self {
        let (source_type, requested_by) = (source_type.into(), requested_by.into());
        Self { entity, run_type, source_type, since: None, selection: None, verify: None, requested_by }
    }
}

/// A run, as operators and executors see it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The id of the run.
    pub id: RunId,
    /// The type of the run.
    pub run_type: RunType,
    /// The entity type of the records.
    pub entity_type: EntityType,
    /// The system that the records come from.
    pub source_type: String,
    /// The status of the run.
    pub status: RunStatus,
    /// The number of records listed so far.
    pub total_items: i64,
    /// The number of listed records that have ended.
    pub processed_items: i64,
    /// The number of listed records that ended as dead letters. In a download of images: the number of images that could
    /// not be kept. In a verification: also the number of records that could not be read from the source.
    pub failed_items: i64,
    /// The number of ended records that the list already showed as unchanged.
    pub unchanged_items: i64,
    /// The number of committed pages. In a full sync, the sweep for deletions counts as a page.
    pub pages: i64,
    /// How the run reads, and why; `None` before the first page is requested.
    pub plan: Option<RunPlan>,
    /// The number of calls to the source that were made for the run.
    pub calls: i64,
    /// Whether the list was read to its end.
    pub listing_done: bool,
    /// The number of records that the last run of the same type and entity type listed, among the runs without a
    /// selection that read their list to the end; `None` if there is no such run, and for a run with a selection.
    pub expected_items: Option<i64>,
    /// The run listed changes since this time.
    pub since: Option<OffsetDateTime>,
    /// The part of the entity type that the run reads; `None` for everything, or for all changes.
    pub selection: Option<Selection>,
    /// When the request for the run was stored.
    pub created_at: OffsetDateTime,
    /// When the run was claimed for the first time.
    pub started_at: Option<OffsetDateTime>,
    /// When the run ended.
    pub completed_at: Option<OffsetDateTime>,
    /// What went wrong, and what an operator can do about it.
    pub error_log: Option<String>,
    /// The requester of the run.
    pub requested_by: Option<String>,
    /// The database that the run writes to, as `host:port/name`.
    pub target_database: Option<String>,
    /// The number of deletions that wait for the confirmation of an operator.
    pub held_deletions: i64,
    /// For a run of type [`RunType::Verify`]: the verification that the run is a part of.
    pub verify: Option<VerifyPart>,
}

impl Run {
    /// Returns true if the run reads everything, or all changes since the last run. Only such a run says something
    /// about the whole entity type.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.since.is_none() && self.selection.is_none()
    }

    /// Returns the progress in percent, from 0 to 100.
    ///
    /// While the list is being read, the run is compared with [`Run::expected_items`], and the progress is at most 99
    /// percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
    pub fn progress_percent(&self) -> f64 {
        if matches!(self.status, RunStatus::Completed | RunStatus::CompletedWithErrors) {
            return 100.0;
        }
        let (listed, expected) = (self.total_items, self.expected_items.unwrap_or(0));
        let total = if self.listing_done { listed } else { listed.max(expected) };
        if total == 0 {
            return 0.0;
        }
        let most = if self.listing_done { 100.0 } else { 99.0 };
        let percent = self.processed_items as f64 / total as f64 * 100.0;
        (percent * 100.0).round().clamp(0.0, most * 100.0) / 100.0
    }

    /// Returns the number of calls for each record that the run found changed; `None` if there was no such record.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn calls_per_record(&self) -> Option<f64> {
        let changed = self.processed_items - self.unchanged_items;
        (changed > 0).then(|| self.calls as f64 / changed as f64)
    }
}

/// A claimed run. The process holds the run until the lease ends.
#[derive(Clone, Debug)]
pub struct RunLease {
    /// The run.
    pub run: Run,
    /// The fencing token of the claim.
    pub token: LeaseToken,
    /// The position at which the run continues.
    pub checkpoint: Checkpoint,
    /// The history of the runs of the entity type.
    pub history: RunHistory,
}

/// The maximum number of completed runs in a [`RunHistory`].
pub const HISTORY: usize = 20;

/// The history of the runs of an entity type.
#[derive(Clone, Debug, Default)]
pub struct RunHistory {
    /// The cursor of the entity type: changes up to this time are known to be read. The cursor moves when a run ends.
    pub cursor: Option<OffsetDateTime>,
    /// The number of records in the last full list whose run ended; `None` before the first such run. A full run with
    /// `since` or with a selection does not count, because its list is not complete.
    pub last_full_count: Option<i64>,
    /// The last runs that completed without an error, newest first, at most [`HISTORY`].
    pub completed: Vec<Run>,
}

/// The checkpoint of a run: its position in the list, committed with each page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// The cursor of the next page; `None` before the first page.
    pub cursor: Option<String>,
    /// The lower end of the window.
    #[serde(with = "time::serde::rfc3339::option")]
    pub window_from: Option<OffsetDateTime>,
    /// The upper end of the window, fixed at the first page. The cursor of the entity type moves to this time when the
    /// run ends.
    #[serde(with = "time::serde::rfc3339::option")]
    pub window_to: Option<OffsetDateTime>,
    /// The number of committed pages.
    pub pages: i64,
    /// Whether the list was read to its end. Only the sweep for deletions may remain.
    pub listed: bool,
    /// Whether an operator resumed the run after it had ended. The run then accepts a list that is far shorter than the
    /// last one.
    pub resumed: bool,
}

/// The changes of one page, committed in one transaction.
#[derive(Clone, Debug)]
pub struct PageCommit {
    /// The ids of the page. Each id that the run did not list before counts in `total_items`.
    pub listed: Vec<RecordId>,
    /// Inbound work for the rows that need work. The end of each item counts in `processed_items`.
    pub items: Vec<NewItem>,
    /// The new position.
    pub checkpoint: Checkpoint,
    /// Whether this is the last page.
    pub last: bool,
}

/// A selection of runs. The default filter selects all runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only runs of this entity type.
    pub entity: Option<EntityType>,
    /// Only runs with this status.
    pub status: Option<RunStatus>,
    /// Only runs of this type.
    pub run_type: Option<RunType>,
}

/// The runs, as the processes that execute them see them.
///
/// # Contract
/// - At most one run of an entity type is active among those that [exclude](RunType::excludes) each other.
/// - At most one process holds the lease of a run. Every write proves the lease with its fencing token; otherwise it
///   fails with an error of kind `Conflict`. A run whose lease ran out can be claimed by another process, which
///   continues from the last committed page.
/// - A run ends when its list was read to the end and every listed record has ended. It ends as `completed_with_errors`
///   if some of these records ended as dead letters, if deletions are held back or if records failed without an item,
///   and otherwise as `completed`.
/// - A record that a run lists several times counts once. Work of a run that is folded into the live item of the record
///   counts as a separate item.
/// - When a run ends in one of these two ways, the cursor of the entity type moves to the end of the run's window. The
///   cursor does not move back, it does not pass the version of a record that is a dead letter, and it does not move
///   if the window began after the cursor, because changes in between would stay unread. A run with a selection
///   never moves the cursor, for the same reason.
#[async_trait]
pub trait SyncRun: Send + Sync {
    /// Claims a pending run, or a run whose process stopped renewing its lease before the list was read to the end.
    /// With `among`, only one of these runs is claimed. The claimed run is `running`.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn claim_run(
        &self,
        worker: &WorkerId,
        lease: Duration,
        among: Option<&[RunId]>,
    ) -> Result<Option<RunLease>>;

    /// Waits until there may be a run to claim, or until the timeout. The default implementation, for a store that
    /// receives no signal about new runs, waits for the timeout.
    async fn wait_for_run(&self, timeout: Duration) {
        tokio::time::sleep(timeout).await;
    }

    /// Extends the lease to `lease` from now. With a lease of zero, the run is given back: another process can claim
    /// the run at once. If a plan is given, the plan is stored with the run and replaces an earlier plan.
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

    /// Commits a page: its items, counts and checkpoint together. Returns the number of records that the run has
    /// listed so far.
    ///
    /// A page whose number (`checkpoint.pages`) was committed before changes nothing, so that a commit with an unknown
    /// outcome can be repeated.
    ///
    /// # Errors
    /// `Conflict`: the run was cancelled or the lease was lost.
    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<i64>;

    /// Returns the number of live records in the target, and the ids of the missing ones: records that no page of this
    /// run listed, although they were first seen before the run began and were not observed since. The result is only
    /// meaningful before the last page is committed.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)>;

    /// Ends the run before its list was read to the end, or records that deletions wait for an operator.
    ///
    /// # Errors
    /// `Conflict`: the run was cancelled or the lease was lost.
    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()>;
}

/// The way in which a process ends a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The run cannot continue and fails now. An operator can resume the run.
    Failed {
        /// What went wrong, and what an operator can do about it.
        error: String,
    },
    /// Deletions wait for an operator. The last page is still committed, and the run then ends as
    /// `completed_with_errors`.
    DeletionsHeld {
        /// The records that may be gone.
        ids: Vec<RecordId>,
        /// The reason why only an operator can decide.
        reason: String,
    },
    /// Some of the listed records failed without an item in the queue. The last page is still committed, and the run
    /// then ends as `completed_with_errors`.
    RecordsFailed {
        /// The number of records of the run that failed so far. It replaces an earlier number.
        failed: usize,
        /// What went wrong.
        reason: String,
    },
}

/// The runs, as operators and schedules see them.
#[async_trait]
pub trait SyncRunOperator: Send + Sync {
    /// Stores the request for a run. The run is `pending`.
    ///
    /// # Errors
    /// `Conflict`: a run of the entity type that excludes this one is active.
    async fn create(&self, run: NewRun) -> Result<Run>;

    /// Cancels a run. Its effects so far are kept. Items that the run enqueued and that have no other waiter (no
    /// event, no operator and no run that goes on) are removed from the queue, even if a worker holds them. Their work is
    /// kept for [`SyncRunOperator::resume`].
    ///
    /// # Errors
    /// `Conflict`: the run has ended. `NotFound`: there is no such run.
    async fn cancel(&self, id: RunId) -> Result<Run>;

    /// Removes from the queue the items that [`SyncRunOperator::cancel`] could not remove, because another session had
    /// locked them or because the process ended in between. The default implementation, for a store that cancels
    /// in one step, does nothing.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn finish_cancelling(&self) -> Result<()> {
        Ok(())
    }

    /// Resumes a failed or cancelled run from its checkpoint, under the same id, and marks it as `resumed`. The work
    /// that cancelling removed from the queue is enqueued again. A list that was read to its end is not read again: the
    /// run then waits for its items only.
    ///
    /// # Errors
    /// `Conflict`: the run has neither failed nor been cancelled, or another run of the entity type is active.
    /// `NotFound`: there is no such run.
    async fn resume(&self, id: RunId) -> Result<Run>;

    /// Releases held deletions: each of the records is read from the source as an item of the run, and the run is
    /// active again until these items have ended. Returns the number of released deletions, which is 0 if the run
    /// holds none.
    ///
    /// # Errors
    /// `Conflict`: another run of the entity type is active. `NotFound`: there is no such run.
    async fn confirm_deletions(&self, id: RunId) -> Result<u64>;

    /// Returns one run.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn get_run(&self, id: RunId) -> Result<Option<Run>>;

    /// Returns one page of runs, newest first. `cursor` is the [`Page::next_cursor`] of the previous page.
    ///
    /// # Errors
    /// `Invalid`: the cursor was not returned with a page.
    async fn list_runs<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>>;

    /// Returns the history of the runs of an entity type.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn history(&self, entity: &EntityType) -> Result<RunHistory>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_lane_belong_to_the_type_of_run_that_spends_the_lane() {
        for run_type in [RunType::Full, RunType::Incremental, RunType::Verify] {
            assert_eq!(RunType::of_lane(run_type.lane()), Some(run_type));
        }
        for lane in Lane::ALL.into_iter().filter(|lane| lane.is_urgent()) {
            assert_eq!(RunType::of_lane(lane), None);
        }
    }
}
