//! The executor of verification runs.

mod finish;
mod list;
mod local;
mod look;
mod position;
mod relist;
mod repair;
mod watch;
mod whole;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use self::position::{Phase, Position};
pub(crate) use self::watch::Watch;
use super::{Registry, RunExecutor, patience::Patience};
use crate::{
    clock::Clock,
    error::{Error, Result},
    hint::Wording,
    mirror::Mirror,
    queue::NewItem,
    record::{EntityType, RecordId},
    runs::{Checkpoint, NewRun, PageCommit, RunLease, RunType, SyncRun},
    source::Source,
    verify::{MoneyCheck, VerifyOperator, VerifyStore},
};

/// The settings of verification runs.
#[derive(Clone, Copy, Debug)]
pub struct VerifySettings {
    /// The number of whole records that a run reads and compares, if one call reads one record. If one call reads many
    /// records, all of them are compared.
    pub sample: usize,
    /// A change that is younger than this may still be on its way, so its record is looked at again. Values that the
    /// source moves without a version are looked at again after a quarter of this time.
    pub quiet: Duration,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { sample: 100, quiet: Duration::from_secs(60) }
    }
}

/// The executor of runs of type [`RunType::Verify`].
///
/// A run writes nothing to the target: repairs become queue items, like every other change.
pub(crate) struct Verifier {
    pub(crate) registry: Registry,
    pub(crate) runs: Arc<dyn SyncRun>,
    pub(crate) mirror: Arc<dyn Mirror>,
    pub(crate) store: Arc<dyn VerifyStore>,
    pub(crate) operator: Arc<dyn VerifyOperator>,
    pub(crate) money: Option<Arc<dyn MoneyCheck>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: VerifySettings,
    pub(crate) wording: Wording,
    pub(crate) watch: Watch,
}

/// One run that is being executed.
struct Verifying<'a> {
    verifier: &'a Verifier,
    source: &'a dyn Source,
    lease: &'a RunLease,
}

impl Verifier {
    fn source(&self, entity: &EntityType) -> Result<&dyn Source> {
        let source = self.registry.source(entity).map(AsRef::as_ref);
        source.ok_or_else(|| Error::invalid(format!("this process has no source for {entity}")))
    }
}

#[async_trait]
impl RunExecutor for Verifier {
    fn run_types(&self) -> &[RunType] {
        &[RunType::Verify]
    }

    fn check(&self, run: &NewRun) -> Result<()> {
        if run.selection.is_some() || run.since.is_some() {
            return Err(Error::invalid("a verification compares all records of an entity type"));
        }
        self.source(&run.entity).map(drop)
    }

    async fn execute(&self, lease: &RunLease) -> Result<()> {
        let source = self.source(&lease.run.entity_type)?;
        self.watch.begin();
        Verifying { verifier: self, source, lease }.run().await?;
        // The run has ended. A process that dies here, or that cannot reach the store, leaves the end of the verification
        // to the next look for unfinished ones.
        if let Err(error) = self.finish_all().await {
            tracing::warn!(error = %error.chain(), "a verification could not be completed; trying again later");
        }
        Ok(())
    }
}

impl Verifying<'_> {
    /// Compares phase after phase, beginning at the checkpoint.
    async fn run(&self) -> Result<()> {
        let mut checkpoint = self.lease.checkpoint.clone();
        let mut position = Position::of(&checkpoint)?;
        // The checkpoint of a page was written before the run counted the page.
        position.set_listed(self.lease.run.total_items);
        loop {
            position.phase = match position.phase.clone() {
                Phase::List(cursor) => {
                    self.list(cursor, &mut position, &mut checkpoint).await?;
                    continue;
                }
                Phase::Local(after) => self.local(after, &mut position).await?,
                Phase::Whole(done) => self.whole(done, &mut position).await?,
                Phase::Look => self.look(&position).await?,
                Phase::Repair => return self.repair(&position, &mut checkpoint).await,
            };
            self.keep(&position, &mut checkpoint, Vec::new()).await?;
        }
    }

    fn patience(&self) -> Patience {
        Patience::of(self.lease.run.id, self.verifier.wording)
    }

    /// Adds suspects before the position passes them.
    async fn suspect(&self, position: &mut Position, ids: &[RecordId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        position.suspects += ids.len();
        let suspect = || self.verifier.store.suspect(self.lease.run.id, ids);
        self.patience().store("storing the records that look different", suspect).await
    }

    /// Commits the position, with the records that were listed on the way to it. Returns the number of records that the
    /// run has listed.
    async fn keep(
        &self,
        position: &Position,
        checkpoint: &mut Checkpoint,
        listed: Vec<RecordId>,
    ) -> Result<i64> {
        let counts = position.counts();
        let count = || self.verifier.store.count(self.lease.run.id, counts);
        self.patience().store("storing the counts of a verification", count).await?;
        self.commit(position, checkpoint, listed, Vec::new(), false).await
    }

    async fn commit(
        &self,
        position: &Position,
        checkpoint: &mut Checkpoint,
        listed: Vec<RecordId>,
        items: Vec<NewItem>,
        last: bool,
    ) -> Result<i64> {
        checkpoint.pages += 1;
        checkpoint.cursor = Some(position.to_text()?);
        let page = PageCommit { listed, items, checkpoint: checkpoint.clone(), last };
        let commit = || self.verifier.runs.commit_page(self.lease.run.id, self.lease.token, page.clone());
        self.patience().store("committing a part of a verification", commit).await
    }
}
