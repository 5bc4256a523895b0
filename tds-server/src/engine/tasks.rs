//! The long tasks of an engine, under supervision.

use std::{sync::Arc, time::Duration};

use tds_core::{runs::RunId, shutdown::ShutdownTrigger};
use tokio::{task::JoinHandle, time::Instant};

use super::Engine;
use crate::{
    app::{items::Items, presence, prune, quota, services::Ports},
    supervise::Supervisor,
};

/// Tasks that have not ended this long after the shutdown signal are aborted. Each task has shorter limits of its own,
/// except for a statement that hangs in the database.
const STOP_TIME: Duration = Duration::from_secs(7);

/// The tasks to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tasks {
    /// Claims and processes queue items.
    pub worker: bool,
    /// Executes runs: lists records and queues them.
    pub bulk: bool,
    /// Starts runs when they are due.
    pub scheduler: bool,
    /// Deletes old finished rows.
    pub prune: bool,
    /// Reports to the database that a server works on it.
    pub presence: bool,
}

impl Tasks {
    /// The tasks of `serve`.
    pub const ALL: Self = Self { worker: true, bulk: true, scheduler: true, prune: true, presence: true };
    /// The tasks of a bulk sync in the foreground.
    pub const SYNC: Self = Self { worker: true, bulk: true, scheduler: false, prune: false, presence: false };
}

/// Started tasks. They run until [`RunningTasks::stop`] is called or this value is dropped.
pub struct RunningTasks {
    trigger: ShutdownTrigger,
    handles: Vec<JoinHandle<()>>,
}

impl RunningTasks {
    /// Signals all tasks to stop and waits until they have finished or given back the items that they hold.
    pub async fn stop(self) {
        self.trigger.shutdown();
        let deadline = Instant::now() + STOP_TIME;
        for mut handle in self.handles {
            match tokio::time::timeout_at(deadline, &mut handle).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a supervisor ended unexpectedly"),
                Err(_) => {
                    tracing::warn!(
                        "a task did not end in time; its items can be claimed again when their leases end"
                    );
                    handle.abort();
                }
            }
        }
    }
}

impl Engine {
    /// Starts tasks. With `TDS_WORKERS=0` this process neither works nor lists nor schedules: other processes do.
    #[must_use]
    pub fn start(&self, tasks: Tasks, supervisor: &Supervisor) -> RunningTasks {
        self.start_for(None, tasks, supervisor)
    }

    /// Like [`Engine::start`], but claims only these runs and the items that they wait for. `None` means everything.
    #[must_use]
    pub fn start_for(&self, runs: Option<&[RunId]>, tasks: Tasks, supervisor: &Supervisor) -> RunningTasks {
        let runs = runs.map(<[RunId]>::to_vec);
        let (trigger, shutdown) = ShutdownTrigger::new();
        let mut handles = Vec::new();
        let works = self.concurrency > 0;
        if tasks.worker && works {
            let (worker, runs) = (Arc::clone(self.parts.engine.worker()), runs.clone());
            handles.push(supervisor.spawn("worker", shutdown.clone(), move |shutdown| {
                let (worker, runs) = (Arc::clone(&worker), runs.clone());
                async move { worker.run_for(runs, shutdown).await }
            }));
        }
        if tasks.bulk && works {
            let (worker, runs) = (Arc::clone(self.parts.engine.runs()), runs.clone());
            handles.push(supervisor.spawn("bulk", shutdown.clone(), move |shutdown| {
                let (worker, runs) = (Arc::clone(&worker), runs.clone());
                async move { worker.run(runs.as_deref(), shutdown).await }
            }));
        }
        if tasks.scheduler && works {
            let scheduler = Arc::clone(self.parts.engine.scheduler());
            handles.push(supervisor.spawn("scheduler", shutdown.clone(), move |shutdown| {
                let scheduler = Arc::clone(&scheduler);
                async move { scheduler.run(shutdown).await }
            }));
            let zoho = self.parts.zoho.clone();
            handles.push(
                supervisor
                    .spawn("quota", shutdown.clone(), move |shutdown| quota::run(zoho.clone(), shutdown)),
            );
        }
        if tasks.presence {
            let (store, zoho) = (self.parts.store.clone(), self.parts.zoho.clone());
            let name = self.name.0.clone();
            handles.push(supervisor.spawn("presence", shutdown.clone(), move |shutdown| {
                presence::run(store.clone(), zoho.clone(), name.clone(), works, shutdown)
            }));
        }
        if tasks.prune && works {
            let (items, retention) = (Items(Ports::new(&self.parts.store)), self.retention);
            handles
                .push(supervisor.spawn("prune", shutdown, move |shutdown| {
                    prune::run(items.clone(), retention, shutdown)
                }));
        }
        RunningTasks { trigger, handles }
    }
}
