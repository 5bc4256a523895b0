//! Supervision of long tasks: a panic is logged and the task is started again, so that no task disappears silently.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{lock::lock, shutdown::Shutdown};
use tokio::{task::JoinHandle, time::Instant};

use crate::telemetry::panic_text;

/// The pause before a task that ended by itself is started again.
const REST: Duration = Duration::from_secs(1);
/// The time for which the health report warns about a restart.
const RECENT: Duration = Duration::from_secs(60);

/// Supervises the long tasks of this process and records their restarts.
#[derive(Clone, Default)]
pub(crate) struct Supervisor {
    restarts: Arc<Mutex<BTreeMap<&'static str, Instant>>>,
}

impl Supervisor {
    /// Runs the future that `task` makes until the shutdown signal. After a panic or an early end, a clone of the task
    /// is started.
    pub(crate) fn spawn<F>(
        &self,
        name: &'static str,
        shutdown: Shutdown,
        task: impl FnOnce(Shutdown) -> F + Clone + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let supervisor = self.clone();
        tokio::spawn(async move {
            loop {
                let ended = tokio::spawn(task.clone()(shutdown.clone())).await;
                if let Err(error) = ended {
                    let panic = error.try_into_panic().map_or_else(
                        |error| error.to_string(),
                        |panic| panic_text(panic.as_ref()).to_owned(),
                    );
                    tracing::error!(task = name, panic, "a task panicked and is restarted");
                } else if shutdown.is_set() {
                    return;
                } else {
                    tracing::error!(task = name, "a task ended by itself and is restarted");
                }
                lock(&supervisor.restarts).insert(name, Instant::now());
                if shutdown.sleep(REST).await {
                    return;
                }
            }
        })
    }

    /// Returns the tasks that had to be started again in the last minute.
    pub(crate) fn restarted(&self) -> Vec<&'static str> {
        let recent = |at: &Instant| at.elapsed() < RECENT;
        lock(&self.restarts).iter().filter(|(_, at)| recent(at)).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use tds_core::shutdown::ShutdownTrigger;
    use tokio::sync::Notify;

    use super::Supervisor;

    #[tokio::test]
    async fn a_task_that_panics_starts_again() {
        let (trigger, shutdown) = ShutdownTrigger::new();
        let supervisor = Supervisor::default();
        let (starts, second) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let handle = supervisor.spawn("test", shutdown, {
            let (starts, second) = (Arc::clone(&starts), Arc::clone(&second));
            move |shutdown| {
                let (starts, second) = (Arc::clone(&starts), Arc::clone(&second));
                async move {
                    assert!(starts.fetch_add(1, Ordering::SeqCst) > 0, "first start");
                    second.notify_one();
                    shutdown.wait().await;
                }
            }
        });
        second.notified().await;
        assert_eq!(supervisor.restarted(), ["test"]);
        trigger.shutdown();
        handle.await.expect("the supervisor itself does not panic");
    }
}
