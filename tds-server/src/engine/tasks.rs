//! The long tasks of an engine, under supervision.

use std::{sync::Arc, time::Duration};

use tds_core::{runs::RunId, shutdown::ShutdownTrigger};
use tokio::{task::JoinHandle, time::Instant};

use super::Engine;
use crate::{
    app::{items::Items, missed::Daily, presence, prune, quota, services::Services, unknown_fields},
    supervise::Supervisor,
};

/// Tasks that have not ended this long after the shutdown signal are aborted. Each task has shorter limits of its own,
/// except for a statement that hangs in the database.
const STOP_TIME: Duration = Duration::from_secs(7);

/// Started tasks. They run until [`RunningTasks::stop`] is called or this value is dropped.
pub(crate) struct RunningTasks {
    trigger: ShutdownTrigger,
    handles: Vec<JoinHandle<()>>,
}

impl RunningTasks {
    /// Signals all tasks to stop and waits until they have finished or given back the items that they hold.
    pub(crate) async fn stop(self) {
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
    /// Starts the tasks of a server. With `TDS_WORKERS=0` this process neither works nor lists nor schedules nor
    /// prunes: other processes do.
    ///
    /// With `only`, starts the tasks of a bulk sync in the foreground: they claim only these runs and the items that
    /// the runs wait for.
    pub(crate) fn start(&self, only: Option<Vec<RunId>>, supervisor: &Supervisor) -> RunningTasks {
        let Services { ports, engine, zoho, .. } = self.services.clone();
        let (trigger, shutdown) = ShutdownTrigger::new();
        let (serves, works) = (only.is_none(), self.concurrency > 0);
        let mut handles = Vec::new();
        if works {
            let (worker, runs) = (Arc::clone(&engine.worker), only.clone());
            handles.push(supervisor.spawn("worker", shutdown.clone(), move |shutdown| async move {
                worker.run_for(runs, shutdown).await;
            }));
            let executor = Arc::clone(&engine.runs);
            handles.push(supervisor.spawn("bulk", shutdown.clone(), move |shutdown| async move {
                executor.run(only.as_deref(), shutdown).await;
            }));
            let (store, client) = (self.storage.store.clone(), zoho.clone());
            handles.push(supervisor.spawn("unknown fields", shutdown.clone(), |shutdown| {
                unknown_fields::run(store, client, shutdown)
            }));
        }
        if works && serves {
            let scheduler = Arc::clone(&engine.scheduler);
            handles.push(supervisor.spawn("scheduler", shutdown.clone(), move |shutdown| async move {
                scheduler.run(shutdown).await;
            }));
            if let Some(relay) = engine.relay.clone() {
                handles.push(supervisor.spawn("relay", shutdown.clone(), |shutdown| async move {
                    relay.run(shutdown).await;
                }));
            }
            let client = zoho.clone();
            handles
                .push(supervisor.spawn("quota", shutdown.clone(), |shutdown| quota::run(client, shutdown)));
            if let Some(daily) = Daily::of(&self.services) {
                handles
                    .push(supervisor.spawn("daily", shutdown.clone(), move |shutdown| daily.run(shutdown)));
            }
            let (items, ages) = (Items(ports), [self.payload_retention, self.retention]);
            handles.push(
                supervisor
                    .spawn("prune", shutdown.clone(), move |shutdown| prune::run(items, ages, shutdown)),
            );
        }
        if serves {
            let (store, name) = (self.storage.store.clone(), self.name.0.clone());
            handles.push(supervisor.spawn("presence", shutdown, move |shutdown| {
                presence::run(store, zoho, name, works, shutdown)
            }));
        }
        RunningTasks { trigger, handles }
    }
}
