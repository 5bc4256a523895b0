//! stub

use std::{sync::Arc, time::Duration};

use crate::{Clock, Listed, Mirror, Profile, Registry, RunType, Shutdown, SyncRun, SyncState, WorkerId};

/// How runs are executed.
#[derive(Clone, Debug)]
pub struct BulkSettings {
    /// The name under which this process holds leases.
    pub worker: WorkerId,
    /// A run whose process stops renewing is taken over after this.
    pub lease: Duration,
    /// Runs that this process lists at the same time.
    pub concurrency: usize,
    /// Changes this long before the cursor are listed again.
    pub overlap: Duration,
    /// How often to look for new runs.
    pub poll: Duration,
}

impl Default for BulkSettings {
    fn default() -> Self {
        Self {
            worker: WorkerId::unique(),
            lease: Duration::from_secs(60),
            concurrency: 2,
            overlap: Duration::from_secs(300),
            poll: Duration::from_secs(1),
        }
    }
}

/// What becomes of a listed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPlan {
    /// The target has it already.
    Unchanged,
    /// It becomes a queue item.
    Queue,
}

/// Decides on a listed row.
#[must_use]
pub fn plan_row(
    state: Option<&SyncState>,
    listed: &Listed,
    profile: &Profile,
    run_type: RunType,
    now: time::OffsetDateTime,
) -> RowPlan {
    let _ = (state, listed, profile, run_type, now);
    RowPlan::Queue
}

/// How many deletions a full sync may find before a person has to agree.
#[must_use]
pub fn deletion_limit(live: i64) -> i64 {
    (live / 200).max(20)
}

/// Executes sync runs.
pub struct Bulk {
    registry: Registry,
    runs: Arc<dyn SyncRun>,
    mirror: Arc<dyn Mirror>,
    clock: Arc<dyn Clock>,
    settings: BulkSettings,
}

impl Bulk {
    /// An executor.
    #[must_use]
    pub fn new(
        registry: Registry,
        runs: Arc<dyn SyncRun>,
        mirror: Arc<dyn Mirror>,
        clock: Arc<dyn Clock>,
        settings: BulkSettings,
    ) -> Self {
        Self { registry, runs, mirror, clock, settings }
    }

    /// Executes runs until the signal.
    pub async fn run(&self, shutdown: Shutdown) {
        let _ = (&self.registry, &self.runs, &self.mirror, &self.clock, &self.settings);
        shutdown.wait().await;
    }
}
