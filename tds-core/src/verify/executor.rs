//! The executor of the runs of a verification.
//!
//! A run has five phases: it compares the list, then the records of the target, then whole records; it looks again at
//! the records that differed, and it enqueues the repairs. Its position is in the cursor of the checkpoint, so that
//! another process continues where it stopped. The run writes nothing to the target: repairs go through the queue.

mod list;
mod local;
mod looks;
mod place;
mod repair;
mod whole;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use self::place::{Phase, Place};
use super::{Verifier, VerifyStore};
use crate::{
    clock::Clock,
    engine::{Patience, Registry, RunExecutor},
    error::{Error, Result},
    hint::Wording,
    mirror::Mirror,
    queue::NewItem,
    record::{EntityType, RecordId},
    runs::{Checkpoint, NewRun, PageCommit, RunLease, RunType, SyncRun},
    source::Source,
};

/// The number of records of the target, of suspects and of repairs in one step.
const PAGE: usize = 200;

/// The settings of the runs that compare.
#[derive(Clone, Copy, Debug)]
pub struct VerifySettings {
    /// The number of records that a run reads whole as a random sample. Records of which one call reads many are all read.
    pub sample: usize,
    /// A record that was seen or that changed within this time is looked at again later.
    pub quiet: Duration,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { sample: 100, quiet: Duration::from_secs(60) }
    }
}

/// The executor of runs of type [`RunType::Verify`].
pub(crate) struct VerifyExecutor {
    pub(crate) registry: Registry,
    pub(crate) runs: Arc<dyn SyncRun>,
    pub(crate) mirror: Arc<dyn Mirror>,
    pub(crate) store: Arc<dyn VerifyStore>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: VerifySettings,
    pub(crate) wording: Wording,
}

impl VerifyExecutor {
    fn source(&self, entity: &EntityType) -> Result<&dyn Source> {
        let source = self.registry.source(entity).map(AsRef::as_ref);
        source.ok_or_else(|| Error::invalid(format!("this process has no source for {entity}")))
    }
}

#[async_trait]
impl RunExecutor for VerifyExecutor {
    fn run_types(&self) -> &[RunType] {
        &[RunType::Verify]
    }

    fn check(&self, run: &NewRun) -> Result<()> {
        if run.since.is_some() || run.selection.is_some() {
            return Err(Error::invalid("a comparison reads all records"));
        }
        self.source(&run.entity).map(drop)
    }

    async fn execute(&self, lease: &RunLease) -> Result<()> {
        let source = self.source(&lease.run.entity_type)?;
        let checkpoint = lease.checkpoint.clone();
        let place = Place::of(&checkpoint);
        Comparing { executor: self, source, lease, checkpoint, place }.run().await?;
        // The runs of the verification that end later do the same.
        if let Err(error) = self.verifier.finish().await {
            tracing::debug!(error = %error.chain(), "verifications could not be completed; it is tried again");
        }
        Ok(())
    }
}

/// One run that compares.
struct Comparing<'a> {
    executor: &'a VerifyExecutor,
    source: &'a dyn Source,
    lease: &'a RunLease,
    checkpoint: Checkpoint,
    place: Place,
}

impl Comparing<'_> {
    async fn run(mut self) -> Result<()> {
        loop {
            match self.place.phase {
                Phase::List => self.compare_list().await?,
                Phase::Local => self.compare_local().await?,
                Phase::Whole => self.compare_whole().await?,
                Phase::Looks => self.look_again().await?,
                Phase::Repair => return self.repair().await,
            }
        }
    }

    fn patience(&self) -> Patience {
        Patience::of(self.lease.run.id, self.executor.wording)
    }

    async fn suspect(&self, ids: &[RecordId]) -> Result<()> {
        let add = || self.executor.store.suspect(self.lease.run.id, ids);
        self.patience().store("storing records to look at again", add).await
    }

    async fn store_counts(&self) -> Result<()> {
        let count = || self.executor.store.count(self.lease.run.id, self.place.counts());
        self.patience().store("storing what was counted", count).await
    }

    /// Commits a step: the position, and what belongs to it.
    async fn commit(&mut self, listed: Vec<RecordId>, items: Vec<NewItem>, last: bool) -> Result<()> {
        self.checkpoint.pages += 1;
        self.checkpoint.listed = self.place.phase != Phase::List;
        self.checkpoint.cursor = Some(self.place.to_text()?);
        let page = PageCommit { listed, items, checkpoint: self.checkpoint.clone(), last };
        let commit = || self.executor.runs.commit_page(self.lease.run.id, self.lease.token, page.clone());
        self.patience().store("committing a step of a comparison", commit).await.map(drop)
    }
}
