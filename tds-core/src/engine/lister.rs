//! The executor of the runs that read a list, page by page. Each page is committed together with the checkpoint of the
//! run.
//!
//! A run does not write to the target. Rows that show a change become queue items, and the workers do the rest. There
//! is therefore one way to the target, one guard and one list of dead letters.

mod listing;
mod plan;
mod sweep;
mod window;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use self::listing::Listing;
pub use self::plan::{RowPlan, deletion_limit, plan_row};
use super::{Registry, RunExecutor, RunSettings};
use crate::{
    clock::Clock,
    error::{Error, Result},
    hint::Wording,
    limits::shared_state::SharedState,
    mirror::Mirror,
    runs::{RunLease, RunType, SyncRun},
};

/// The executor of full and incremental runs.
pub struct Lister {
    registry: Registry,
    runs: Arc<dyn SyncRun>,
    mirror: Arc<dyn Mirror>,
    shared: Arc<dyn SharedState>,
    clock: Arc<dyn Clock>,
    lease_time: Duration,
    overlap: Duration,
    probe_every: Option<Duration>,
    wording: Wording,
}

impl Lister {
    pub(super) fn new(
        registry: Registry,
        runs: Arc<dyn SyncRun>,
        mirror: Arc<dyn Mirror>,
        shared: Arc<dyn SharedState>,
        clock: Arc<dyn Clock>,
        settings: &RunSettings,
        wording: Wording,
    ) -> Self {
        Self {
            registry,
            runs,
            mirror,
            shared,
            clock,
            lease_time: settings.lease,
            overlap: settings.overlap,
            probe_every: settings.probe_every,
            wording,
        }
    }
}

#[async_trait]
impl RunExecutor for Lister {
    fn run_types(&self) -> &[RunType] {
        &[RunType::Full, RunType::Incremental]
    }

    async fn execute(&self, lease: &RunLease) -> Result<()> {
        let entity = &lease.run.entity_type;
        let source = self.registry.source(entity);
        let source =
            source.ok_or_else(|| Error::invalid(format!("this process has no source for {entity}")))?;
        let listing = Listing {
            runs: self.runs.as_ref(),
            mirror: self.mirror.as_ref(),
            shared: self.shared.as_ref(),
            source: source.as_ref(),
            clock: self.clock.as_ref(),
            overlap: self.overlap,
            probe_every: self.probe_every,
            lease,
            lease_time: self.lease_time,
            wording: self.wording,
        };
        listing.run().await
    }
}
