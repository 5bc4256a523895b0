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
/// A task that failed so many times, each time less than [`RECENT`] after its start, does not work any more.
const HOPELESS: u32 = 10;

/// Supervises the long tasks of this process and records their restarts.
#[derive(Clone, Default)]
pub(crate) struct Supervisor {
    restarts: Arc<Mutex<BTreeMap<&'static str, Restart>>>,
}

/// The last restart of a task.
#[derive(Clone, Copy)]
struct Restart {
    at: Instant,
    /// The number of failures, each of them soon after the start of the task.
    in_a_row: u32,
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
                let started = Instant::now();
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
                supervisor.note(name, started);
                if shutdown.sleep(REST).await {
                    return;
                }
            }
        })
    }

    /// Notes the failure of a task that was started at this time.
    fn note(&self, name: &'static str, started: Instant) {
        let mut restarts = lock(&self.restarts);
        let before =
            restarts.get(name).filter(|_| started.elapsed() < RECENT).map_or(0, |last| last.in_a_row);
        restarts.insert(name, Restart { at: Instant::now(), in_a_row: before.saturating_add(1) });
    }

    /// Returns the tasks that had to be started again in the last minute.
    pub(crate) fn restarted(&self) -> Vec<&'static str> {
        self.recent(|_| true)
    }

    /// Returns the tasks that fail again and again, soon after each start.
    pub(crate) fn failing(&self) -> Vec<&'static str> {
        self.recent(|restart| restart.in_a_row >= HOPELESS)
    }

    fn recent(&self, which: impl Fn(&Restart) -> bool) -> Vec<&'static str> {
        let restarts = lock(&self.restarts);
        let recent = restarts.iter().filter(|(_, restart)| restart.at.elapsed() < RECENT && which(restart));
        recent.map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    use tds_core::shutdown::ShutdownTrigger;
    use tokio::sync::Notify;

    use super::{RECENT, Supervisor};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_ten_times_in_a_row_is_failing_and_one_that_recovered_is_not() {
        let (trigger, shutdown) = ShutdownTrigger::new();
        let supervisor = Supervisor::default();
        let starts = Arc::new(AtomicU32::new(0));
        let handle = supervisor.spawn("test", shutdown, {
            let starts = Arc::clone(&starts);
            move |shutdown| async move {
                if starts.fetch_add(1, Ordering::SeqCst) < 10 {
                    return;
                }
                shutdown.wait().await;
            }
        });
        tokio::time::sleep(Duration::from_millis(8_500)).await;
        assert!(supervisor.failing().is_empty(), "{}", starts.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(supervisor.failing(), ["test"]);
        tokio::time::sleep(RECENT).await;
        assert!(supervisor.failing().is_empty(), "the eleventh start works");
        trigger.shutdown();
        handle.await.expect("the supervisor itself does not panic");
    }

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
