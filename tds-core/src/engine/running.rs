//! A running engine: its tasks, and their end.

use tokio::task::JoinSet;

use super::Engine;
use crate::{
    error::{Error, Result},
    runs::{NewRun, Run},
    shutdown::ShutdownTrigger,
};

/// A running engine. It runs until [`RunningEngine::stop`] is called or this value is dropped.
pub struct RunningEngine {
    engine: Engine,
    trigger: ShutdownTrigger,
    tasks: JoinSet<()>,
}

impl Engine {
    /// Starts the engine. The worker, the worker for runs and the scheduler each have their own task, so that a
    /// panic of one does not end the others.
    #[must_use]
    pub fn start(self) -> RunningEngine {
        let (trigger, shutdown) = ShutdownTrigger::new();
        let mut tasks = JoinSet::new();
        let Self { worker, runs, scheduler, relay, .. } = self.clone();
        let (for_worker, for_runs) = (shutdown.clone(), shutdown.clone());
        tasks.spawn(async move { worker.run(for_worker).await });
        tasks.spawn(async move { runs.run(None, for_runs).await });
        if let Some(relay) = relay {
            let for_relay = shutdown.clone();
            tasks.spawn(async move { relay.run(for_relay).await });
        }
        tasks.spawn(async move { scheduler.run(shutdown).await });
        RunningEngine { engine: self, trigger, tasks }
    }
}

impl RunningEngine {
    /// Creates a run and waits for its end. The duration depends on the limits and the outages of the source.
    ///
    /// # Errors
    /// The errors of [`Engine::create_run`], and errors of a store that cannot be asked. A run that fails is not an
    /// error of this method: its status shows the failure.
    pub async fn sync(&self, run: NewRun) -> Result<Run> {
        let mut run = self.engine.create_run(run).await?;
        while run.status.is_active() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let now = self.engine.runs.run_operator.get_run(run.id).await?;
            run = now.ok_or_else(|| Error::not_found(format!("run {} no longer exists", run.id)))?;
        }
        Ok(run)
    }

    /// Completes the verifications whose runs have ended; see [`Engine::finish_verifications`].
    ///
    /// # Errors
    /// A store cannot be reached.
    pub async fn finish_verifications(&self) -> Result<bool> {
        self.engine.finish_verifications().await
    }

    /// Stops the engine. Claimed items and runs are finished or given back.
    pub async fn stop(mut self) {
        self.trigger.shutdown();
        while self.tasks.join_next().await.is_some() {}
    }
}
