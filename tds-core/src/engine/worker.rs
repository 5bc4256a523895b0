//! The worker: it claims items, hands them to their handlers, and settles them.
//!
//! ```text
//! pump ── claims a batch, splits it by entity type ──► chunk ── handler ──► settler ── one settle for many
//!                                                        └─ leases are renewed until the settling is durable
//! ```

mod chunk;
mod leases;
mod pump;
mod settler;
mod slots;
mod tally;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

pub use self::tally::{HandledItems, WorkTally, WorkWatch};
use self::{chunk::ChunkRunner, leases::Leases, pump::Pump, settler::Settler};
use crate::{
    engine::Registry,
    hint::Wording,
    queue::{Queue, WorkerId},
    retry::RetryPolicy,
    runs::RunId,
    shutdown::Shutdown,
};

/// A source of random numbers in `0.0..1.0`.
pub type Random = Arc<dyn Fn() -> f64 + Send + Sync>;

/// The gate to the source: a function that returns true while this process may ask the source.
pub type SourceGate = Arc<dyn Fn() -> bool + Send + Sync>;

/// The settings of a worker.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The name under which this process holds leases.
    pub worker: WorkerId,
    /// The number of batches that are handled at the same time. A worker with 0 claims no items.
    pub concurrency: usize,
    /// How long a claim is held without a renewal. After this time, another worker can claim the items.
    pub lease: Duration,
    /// The retry rule for failed items.
    pub policy: RetryPolicy,
    /// The grace: how long batches may still be handled after the shutdown signal. The worker then waits up to a
    /// quarter of the grace longer for results that are not stored yet.
    pub grace: Duration,
    /// The longest interval at which an empty queue is polled.
    pub poll: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            worker: WorkerId::unique(),
            concurrency: 4,
            lease: Duration::from_secs(60),
            policy: RetryPolicy::default(),
            grace: Duration::from_secs(6),
            poll: Duration::from_secs(2),
        }
    }
}

/// A worker: it claims, handles and settles items.
#[derive(Clone)]
pub struct Worker {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) registry: Registry,
    pub(super) settings: WorkerSettings,
    pub(super) random: Random,
    pub(super) gate: SourceGate,
    pub(super) wording: Wording,
    tally: Arc<WorkTally>,
}

impl Worker {
    /// Creates a worker over a queue.
    #[must_use]
    pub fn new(queue: Arc<dyn Queue>, registry: Registry, settings: WorkerSettings) -> Self {
        Self {
            queue,
            registry,
            settings,
            random: Arc::new(random),
            gate: Arc::new(|| true),
            wording: ToString::to_string,
            tally: Arc::default(),
        }
    }

    /// Returns what this worker and its clones did since the process started.
    #[must_use]
    pub fn tally(&self) -> &WorkTally {
        &self.tally
    }

    /// Processes items until the shutdown signal. Then finishes the items that are being handled within the grace, and
    /// gives the rest back.
    pub async fn run(&self, shutdown: Shutdown) {
        self.run_for(None, shutdown).await;
    }

    /// Like [`Worker::run`], but claims only items that one of `runs` waits for. With `None`, claims all items.
    pub async fn run_for(&self, runs: Option<Vec<RunId>>, shutdown: Shutdown) {
        if self.settings.concurrency == 0 {
            shutdown.wait().await;
            return;
        }
        let leases = Arc::new(Leases::new(Arc::clone(&self.queue), self.settings.lease));
        let renewal = tokio::spawn(Arc::clone(&leases).keep());
        let (settler, settling) =
            Settler::start(Arc::clone(&self.queue), Arc::clone(&self.tally), self.settings.lease);
        let runner = Arc::new(ChunkRunner { worker: self.clone(), leases, settler });
        let mut pump = JoinSet::new();
        pump.spawn(Pump { runner, runs }.run(shutdown.clone()));
        self.wait_for(&mut pump, &shutdown).await;
        // The pump holds the last handle of the settler. The settling task ends when the pump is dropped and all
        // results are settled.
        drop(pump);
        let stop_settling = settling.abort_handle();
        // A settlement that is being repeated has already had the grace. A longer wait is not worthwhile.
        if tokio::time::timeout(self.settings.grace / 4, settling).await.is_err() {
            tracing::warn!("some results could not be stored in time; their items will be processed again");
            stop_settling.abort();
        }
        renewal.abort();
    }

    /// Returns when the pump has ended, or one grace after the shutdown signal: a claim may hang in the database.
    async fn wait_for(&self, pump: &mut JoinSet<()>, shutdown: &Shutdown) {
        let ended = async {
            while let Some(ended) = pump.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "the task that claims items panicked");
                }
            }
        };
        let too_late = async {
            shutdown.wait().await;
            tokio::time::sleep(self.settings.grace).await;
        };
        tokio::select! {
            biased;
            () = ended => {}
            () = too_late => tracing::warn!("some batches were still being handled at the end of the grace period; \
                                             their items will be claimed again"),
        }
    }
}

/// Returns a random number from the random bits of version 4 UUIDs, so that the crate needs no random number generator
/// of its own.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
fn random() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    let (_, low) = uuid::Uuid::new_v4().as_u64_pair();
    ((high ^ low.rotate_left(17)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_numbers_stay_in_range_and_differ() {
        let numbers: Vec<f64> = (0..100).map(|_| super::random()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(numbers.windows(2).any(|pair| (pair[0] - pair[1]).abs() > 0.01));
    }
}
