//! The executor of the runs that read a list, page by page. Each page is committed together with the checkpoint of the
//! run.
//!
//! A run does not write to the target. Rows that show a change become queue items, and the workers do the rest. There
//! is therefore one way to the target, one guard and one list of dead letters.

mod listing;
mod plan;
mod selected;
mod sweep;
mod window;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::plan::{RowPlan, plan_row};
pub(in crate::engine) use self::{
    listing::{last_of_each, refuse_standstill},
    plan::{deletion_limit, is_far_shorter},
};
use super::{Registry, RunExecutor};
use crate::{
    clock::Clock,
    error::{Error, Result},
    hint::Wording,
    limits::shared_state::SharedState,
    mirror::Mirror,
    record::EntityType,
    runs::{NewRun, RunHistory, RunLease, RunPlan, RunType, SyncRun},
    source::Source,
};

/// The settings for the runs that read a list.
#[derive(Clone, Copy, Debug)]
pub struct ListerSettings {
    /// The overlap: changes this long before the cursor are listed again. The overlap is longer if rows were seen
    /// to appear late in the list.
    pub overlap: Duration,
    /// How long the result of a probe of a list is valid, before the list is probed again. With `None`, lists are
    /// never probed, and the documentation of the list applies until an answer contradicts it.
    pub probe_every: Option<Duration>,
}

impl Default for ListerSettings {
    fn default() -> Self {
        Self { overlap: Duration::from_secs(300), probe_every: Some(Duration::from_secs(7 * 86_400)) }
    }
}

/// The executor of full and incremental runs.
pub(super) struct Lister {
    pub(super) registry: Registry,
    pub(super) runs: Arc<dyn SyncRun>,
    pub(super) mirror: Arc<dyn Mirror>,
    pub(super) shared: Arc<dyn SharedState>,
    pub(super) clock: Arc<dyn Clock>,
    /// How long the lease of a run lasts after each renewal.
    pub(super) lease_time: Duration,
    pub(super) settings: ListerSettings,
    pub(super) wording: Wording,
}

/// One run that is being listed.
struct Listing<'a> {
    lister: &'a Lister,
    source: &'a dyn Source,
    lease: &'a RunLease,
}

impl Lister {
    fn source(&self, entity: &EntityType) -> Result<&dyn Source> {
        let source = self.registry.source(entity).map(AsRef::as_ref);
        source.ok_or_else(|| Error::invalid(format!("this process has no source for {entity}")))
    }
}

#[async_trait]
impl RunExecutor for Lister {
    fn run_types(&self) -> &[RunType] {
        &[RunType::Full, RunType::Incremental]
    }

    fn check(&self, run: &NewRun) -> Result<()> {
        let source = self.source(&run.entity)?;
        run.selection.as_ref().map_or(Ok(()), |selection| Self::check_selection(source, selection))
    }

    async fn estimate(&self, run: &NewRun, history: &RunHistory) -> Result<Option<RunPlan>> {
        self.check(run)?;
        let Some(selection) = &run.selection else { return Ok(None) };
        self.plan_of(self.source(&run.entity)?, selection, history).await.map(Some)
    }

    async fn execute(&self, lease: &RunLease) -> Result<()> {
        let source = self.source(&lease.run.entity_type)?;
        Listing { lister: self, source, lease }.run().await
    }
}
