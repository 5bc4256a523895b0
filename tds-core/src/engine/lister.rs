//! The bulk engine: executes sync runs, page by page, each page committed with its checkpoint.
//!
//! A bulk sync writes nothing itself: rows that show news become queue items, and the workers do the rest.
//! So there is one way to the target, one guard and one list of dead letters.

mod listing;
mod patience;
mod plan;
mod sweep;
mod window;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

pub use self::plan::{RowPlan, deletion_limit, plan_row};
use self::{listing::Listing, patience::Patience};
use crate::{
    clock::Clock,
    engine::{Registry, SourceGate},
    error::{ErrorKind, Result},
    mirror::Mirror,
    queue::WorkerId,
    runs::{RunId, RunLease, SyncRun},
    shutdown::Shutdown,
};

/// How runs are executed.
#[derive(Clone, Debug)]
pub struct BulkSettings {
    /// The name under which this process holds leases.
    pub worker: WorkerId,
    /// A run whose process stops renewing is taken over after this.
    pub lease: Duration,
    /// Runs that this process lists at the same time.
    pub concurrency: usize,
    /// Changes this long before the cursor are listed again; longer where rows were seen to come late.
    pub overlap: Duration,
    /// How long it is believed what a list can do before it is tried again; `None`: it is never tried, and the
    /// documentation counts until an answer contradicts it.
    pub probe_every: Option<Duration>,
    /// How often to look for runs that other processes were asked for, or died over.
    pub poll: Duration,
}

impl Default for BulkSettings {
    fn default() -> Self {
        Self {
            worker: WorkerId::unique(),
            lease: Duration::from_secs(60),
            concurrency: 2,
            overlap: Duration::from_secs(300),
            probe_every: Some(Duration::from_secs(7 * 86_400)),
            poll: Duration::from_secs(2),
        }
    }
}

/// Executes sync runs.
#[derive(Clone)]
pub struct Bulk {
    registry: Registry,
    runs: Arc<dyn SyncRun>,
    mirror: Arc<dyn Mirror>,
    clock: Arc<dyn Clock>,
    settings: BulkSettings,
    gate: SourceGate,
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
        Self { registry, runs, mirror, clock, settings, gate: Arc::new(|| true) }
    }

    /// While the gate is closed no run is taken: another process may be able to read its list.
    #[must_use]
    pub fn with_gate(mut self, gate: SourceGate) -> Self {
        self.gate = gate;
        self
    }

    /// Executes runs until the signal. A run that is cut short is given back and resumes at its checkpoint.
    pub async fn run(&self, shutdown: Shutdown) {
        self.run_for(None, shutdown).await;
    }

    /// Executes these runs only; `None`: all.
    pub async fn run_for(&self, runs: Option<Vec<RunId>>, shutdown: Shutdown) {
        let mut active = JoinSet::new();
        while !shutdown.is_set() {
            while active.try_join_next().is_some() {}
            if active.len() < self.settings.concurrency.max(1) && (self.gate)() {
                match self.claim(runs.as_deref()).await {
                    Ok(Some(lease)) => {
                        let (bulk, shutdown) = (self.clone(), shutdown.clone());
                        active.spawn(async move { bulk.execute(lease, shutdown).await });
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(error = %error.chain(), "could not look for runs; trying again")
                    }
                }
            }
            tokio::select! {
                biased;
                () = shutdown.wait() => {}
                () = self.runs.wait_for_run(self.settings.poll) => {}
            }
        }
        while active.join_next().await.is_some() {}
    }

    async fn claim(&self, among: Option<&[RunId]>) -> Result<Option<RunLease>> {
        let BulkSettings { worker, lease, .. } = &self.settings;
        match among {
            Some(runs) => self.runs.claim_run_of(worker, *lease, runs).await,
            None => self.runs.claim_run(worker, *lease).await,
        }
    }

    /// Lists one run to its end, or until its lease is lost or the signal comes.
    async fn execute(&self, lease: RunLease, shutdown: Shutdown) {
        let (id, token, entity) = (lease.run.id, lease.token, lease.run.entity_type.clone());
        tracing::info!(run = %id, %entity, kind = lease.run.run_type.as_str(), pages = lease.checkpoint.pages, "run started");
        let Some(source) = self.registry.source(&entity) else {
            let error = format!("this process has no source for {entity}");
            tokio::select! {
                biased;
                () = shutdown.wait() => {}
                () = self.keep(&lease) => {}
                () = self.end_badly(&lease, &error) => {}
            }
            return;
        };
        let listing = Listing {
            runs: self.runs.as_ref(),
            mirror: self.mirror.as_ref(),
            source: source.as_ref(),
            clock: self.clock.as_ref(),
            overlap: self.settings.overlap,
            probe_every: self.settings.probe_every,
            lease: &lease,
        };
        tokio::select! {
            biased;
            () = shutdown.wait() => {
                // Given back at once, so that the next process need not wait for the lease to end.
                if let Err(error) = self.runs.renew_run(id, token, Duration::ZERO).await {
                    tracing::debug!(run = %id, error = %error.chain(), "run ends by its lease");
                }
            }
            () = self.keep(&lease) => {
                tracing::warn!(run = %id, %entity, "run was cancelled or taken over");
            }
            () = self.list(listing) => {}
        }
    }

    /// Lists to the end, or stores why that cannot be.
    async fn list(&self, listing: Listing<'_>) {
        let lease = listing.lease;
        let (id, entity) = (lease.run.id, &lease.run.entity_type);
        match listing.run().await {
            Ok(()) => tracing::info!(run = %id, %entity, "list read to its end"),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tracing::warn!(run = %id, %entity, error = %error.chain(), "run was cancelled or taken over");
            }
            Err(error) => self.end_badly(lease, &error.chain()).await,
        }
    }

    /// Renews the lease; returns when it is lost.
    async fn keep(&self, lease: &RunLease) {
        loop {
            tokio::time::sleep(self.settings.lease / 3).await;
            match self.runs.renew_run(lease.run.id, lease.token, self.settings.lease).await {
                Err(error) if error.kind() == ErrorKind::Conflict => return,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "run lease could not be renewed; trying again")
                }
                Ok(()) => {}
            }
        }
    }

    async fn end_badly(&self, lease: &RunLease, error: &str) {
        tracing::error!(run = %lease.run.id, entity = %lease.run.entity_type, error, "run failed");
        let fail = || self.runs.fail(lease.run.id, lease.token, error);
        if let Err(fault) = Patience::of(lease.run.id).store("storing why it failed", fail).await {
            tracing::warn!(run = %lease.run.id, error = %fault.chain(), "the failure could not be stored; the run will be taken over");
        }
    }
}
