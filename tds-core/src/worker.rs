//! stub

use std::{sync::Arc, time::Duration};

use crate::{Queue, Registry, RetryPolicy, Shutdown, WorkerId};

/// How a process works.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The name under which this process holds leases.
    pub worker: WorkerId,
    /// Concurrent batches; 0 starts none.
    pub concurrency: usize,
    /// A worker that stops renewing loses its items after this.
    pub lease: Duration,
    /// The rule for failed items.
    pub policy: RetryPolicy,
    /// How long batches in work may go on after the signal.
    pub grace: Duration,
    /// The longest rest between two looks at an empty queue.
    pub poll: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            worker: WorkerId::unique(),
            concurrency: 4,
            lease: Duration::from_secs(60),
            policy: RetryPolicy::default(),
            grace: Duration::from_secs(8),
            poll: Duration::from_secs(1),
        }
    }
}

/// Claims, handles and settles.
pub struct Worker {
    queue: Arc<dyn Queue>,
    registry: Registry,
    settings: WorkerSettings,
}

impl Worker {
    /// A worker over a queue.
    #[must_use]
    pub fn new(queue: Arc<dyn Queue>, registry: Registry, settings: WorkerSettings) -> Self {
        Self { queue, registry, settings }
    }

    /// Works until the signal, then finishes what is in hand and gives the rest back.
    pub async fn run(&self, shutdown: Shutdown) {
        let _ = (&self.queue, &self.registry, &self.settings);
        shutdown.wait().await;
    }
}
