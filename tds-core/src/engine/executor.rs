//! The execution of runs: this process claims runs, keeps their leases, and gives each run to the executor of its
//! type.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinSet;

use super::{SourceGate, patience::Patience};
use crate::{
    error::{Error, ErrorKind, Result},
    hint::Wording,
    queue::WorkerId,
    runs::{NewRun, Run, RunEnd, RunHistory, RunId, RunLease, RunPlan, RunType, SyncRun, SyncRunOperator},
    shutdown::Shutdown,
};

/// An executor for runs of some types. For example, the lister executes runs that read a list; other executors compare
/// records or download files.
#[async_trait]
pub trait RunExecutor: Send + Sync {
    /// Returns the types of the runs that this executor executes.
    fn run_types(&self) -> &[RunType];

    /// Refuses a run that this executor cannot execute, before the run is created. The default accepts every run.
    ///
    /// # Errors
    /// `Invalid`: for example, the run needs a source and there is none for its entity type.
    fn check(&self, _run: &NewRun) -> Result<()> {
        Ok(())
    }

    /// Returns the plan of a run that is about to be created, if the plan is known before the run begins. The
    /// default returns none.
    ///
    /// # Errors
    /// `Invalid`: the executor cannot execute the run. Any other kind: the store cannot be reached.
    async fn estimate(&self, _run: &NewRun, _history: &RunHistory) -> Result<Option<RunPlan>> {
        Ok(None)
    }

    /// Executes a run from its checkpoint to its end. The caller renews the lease meanwhile. If the lease is lost
    /// or the process has to stop, the caller drops the future.
    ///
    /// # Errors
    /// `Conflict`: the run was cancelled or claimed by another process. With any other error the run fails, and the
    /// error is stored with the run.
    async fn execute(&self, lease: &RunLease) -> Result<()>;
}

/// The settings for the execution of runs.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The name under which this process holds leases.
    pub worker: WorkerId,
    /// How long a run stays claimed without a renewal. After this time, another process can claim the run.
    pub lease: Duration,
    /// The number of runs that this process executes at the same time.
    pub concurrency: usize,
    /// The longest wait between two looks for runs. A look finds the runs of processes that died, and the runs that
    /// other processes created if the store receives no signal about them.
    pub poll: Duration,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            worker: WorkerId::unique(),
            lease: Duration::from_secs(60),
            concurrency: 2,
            poll: Duration::from_secs(2),
        }
    }
}

/// The longest wait before a closed gate is asked again. The gate costs no look at the store.
const GATE: Duration = Duration::from_secs(2);

/// The worker for runs: it claims runs and gives them to their executors.
#[derive(Clone)]
pub struct RunWorker {
    pub(super) runs: Arc<dyn SyncRun>,
    pub(super) run_operator: Arc<dyn SyncRunOperator>,
    pub(super) executors: Vec<Arc<dyn RunExecutor>>,
    pub(super) settings: RunSettings,
    pub(super) gate: SourceGate,
    pub(super) wording: Wording,
}

impl RunWorker {
    /// Refuses a run that no executor of this process can execute.
    pub(super) fn check(&self, run: &NewRun) -> Result<()> {
        self.executor(run.run_type)?.check(run)
    }

    /// Creates a run. Operators, programs and schedules all create runs with this method.
    pub(super) async fn create(&self, run: NewRun) -> Result<Run> {
        self.check(&run)?;
        self.run_operator.create(run).await
    }

    /// Returns the plan of a run that is about to be created, if it is known before the run begins.
    pub(super) async fn estimate(&self, run: &NewRun) -> Result<Option<RunPlan>> {
        let executor = self.executor(run.run_type)?;
        executor.estimate(run, &self.run_operator.history(&run.entity).await?).await
    }

    /// Returns the executor for runs of a type.
    fn executor(&self, run_type: RunType) -> Result<&dyn RunExecutor> {
        let found = self.executors.iter().find(|executor| executor.run_types().contains(&run_type));
        found.map(AsRef::as_ref).ok_or_else(|| {
            let run_type = run_type.as_str();
            Error::invalid(format!("this process has no executor for runs of type {run_type}"))
        })
    }

    /// Executes runs until the shutdown signal; with `among`, these runs only. A run that the signal interrupts is
    /// given back, and later continues from its checkpoint.
    pub async fn run(&self, among: Option<&[RunId]>, shutdown: Shutdown) {
        let mut active = JoinSet::new();
        while !shutdown.is_set() {
            while active.try_join_next().is_some() {}
            let may_ask = (self.gate)();
            if may_ask && active.len() < self.settings.concurrency.max(1) {
                match self.runs.claim_run(&self.settings.worker, self.settings.lease, among).await {
                    Ok(Some(lease)) => {
                        let (worker, shutdown) = (self.clone(), shutdown.clone());
                        active.spawn(async move { worker.execute(lease, shutdown).await });
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(error = %error.chain(), "runs could not be claimed; trying again")
                    }
                }
            }
            let wait = if may_ask { self.settings.poll } else { self.settings.poll.min(GATE) };
            tokio::select! {
                biased;
                () = shutdown.wait() => {}
                // A run that ends makes room for the next one.
                Some(_) = active.join_next() => {}
                () = self.runs.wait_for_run(wait) => {}
            }
        }
        while active.join_next().await.is_some() {}
    }

    /// Executes one run until its end, the loss of its lease, or the shutdown signal.
    async fn execute(&self, lease: RunLease, shutdown: Shutdown) {
        let (id, entity, run_type) = (lease.run.id, &lease.run.entity_type, lease.run.run_type);
        tracing::info!(run = %id, %entity, kind = run_type.as_str(), pages = lease.checkpoint.pages, "run started");
        tokio::select! {
            biased;
            () = shutdown.wait() => {
                // The run is given back at once, so that the next process does not have to wait for the lease to end.
                if let Err(error) = self.runs.renew_run(id, lease.token, Duration::ZERO, None).await {
                    tracing::debug!(
                        run = %id, error = %error.chain(),
                        "the run could not be given back; another process continues it when its lease ends"
                    );
                }
            }
            () = self.keep(&lease) => {
                tracing::warn!(run = %id, %entity, "run was cancelled or taken over");
            }
            () = self.execute_to_the_end(&lease) => {}
        }
    }

    async fn execute_to_the_end(&self, lease: &RunLease) {
        let (id, entity, run_type) = (lease.run.id, &lease.run.entity_type, lease.run.run_type);
        let executed = async { self.executor(run_type)?.execute(lease).await };
        match executed.await {
            Ok(()) => tracing::info!(run = %id, %entity, "run executed to its end"),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tracing::warn!(run = %id, %entity, error = %error.chain(), "run was cancelled or taken over");
            }
            Err(error) => self.fail(lease, &error).await,
        }
    }

    /// Renews the lease. Returns when the lease is lost.
    async fn keep(&self, lease: &RunLease) {
        loop {
            tokio::time::sleep(self.settings.lease / 3).await;
            match self.runs.renew_run(lease.run.id, lease.token, self.settings.lease, None).await {
                Err(error) if error.kind() == ErrorKind::Conflict => return,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "the lease of the run could not be renewed; trying again")
                }
                Ok(()) => {}
            }
        }
    }

    async fn fail(&self, lease: &RunLease, error: &Error) {
        let (patience, error) = (Patience::of(lease.run.id, self.wording), error.explain(self.wording));
        tracing::error!(run = %lease.run.id, entity = %lease.run.entity_type, error, "run failed");
        let end = RunEnd::Failed { error };
        let store = || self.runs.end_run(lease.run.id, lease.token, end.clone());
        if let Err(fault) = patience.store("storing why the run failed", store).await {
            tracing::warn!(
                run = %lease.run.id, error = %fault.chain(),
                "the failure could not be stored; another process will claim the run"
            );
        }
    }
}
