//! The worker: claims items, hands them to their handlers, settles them.
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

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use self::{chunk::ChunkRunner, leases::Leases, pump::Pump, settler::Settler};
use crate::{
    engine::Registry,
    queue::{Queue, WorkerId},
    retry::RetryPolicy,
    runs::RunId,
    shutdown::Shutdown,
};

/// Gives a random number in `0.0..1.0`.
pub type Random = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Tells whether this process may ask the source just now.
pub type SourceGate = Arc<dyn Fn() -> bool + Send + Sync>;

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
    /// How long batches in work may go on after the signal. A quarter of it comes on top, for results that
    /// could not be stored so far.
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
            grace: Duration::from_secs(6),
            poll: Duration::from_secs(2),
        }
    }
}

/// Claims, handles and settles.
pub struct Worker {
    queue: Arc<dyn Queue>,
    registry: Registry,
    settings: WorkerSettings,
    random: Random,
    gate: SourceGate,
}

impl Worker {
    /// A worker over a queue.
    #[must_use]
    pub fn new(queue: Arc<dyn Queue>, registry: Registry, settings: WorkerSettings) -> Self {
        Self { queue, registry, settings, random: Arc::new(random), gate: Arc::new(|| true) }
    }

    /// Takes the randomness of back-off from elsewhere, for runs that can be replayed.
    #[must_use]
    pub fn with_random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// While the gate is closed, only work that carries its payload is taken, and what needs the source all the same is
    /// given back at once: another process may be able to do it.
    #[must_use]
    pub fn with_gate(mut self, gate: SourceGate) -> Self {
        self.gate = gate;
        self
    }

    /// Works until the signal, then finishes what is in hand within the grace and gives the rest back.
    pub async fn run(&self, shutdown: Shutdown) {
        self.run_for(None, shutdown).await;
    }

    /// The same for the items that these runs wait for; `None`: for all.
    pub async fn run_for(&self, runs: Option<Vec<RunId>>, shutdown: Shutdown) {
        if self.settings.concurrency == 0 {
            shutdown.wait().await;
            return;
        }
        let leases = Arc::new(Leases::new(Arc::clone(&self.queue), self.settings.lease));
        let renewal = tokio::spawn(Arc::clone(&leases).keep());
        let (settler, settling) = Settler::start(Arc::clone(&self.queue), self.settings.lease);
        let runner = ChunkRunner {
            registry: self.registry.clone(),
            policy: self.settings.policy,
            random: Arc::clone(&self.random),
            gate: Arc::clone(&self.gate),
            leases,
            settler,
        };
        let mut pump = JoinSet::new();
        pump.spawn(self.pump(runner, runs).run(shutdown.clone()));
        self.wait_for(&mut pump, &shutdown).await;
        // The last settler handle goes with the pump; the settling task then ends with what it has.
        drop(pump);
        let stop_settling = settling.abort_handle();
        // A settling that repeats itself has had the grace already: little more is worth waiting for.
        if tokio::time::timeout(self.settings.grace / 4, settling).await.is_err() {
            tracing::warn!("results could not be stored in time; their items come again");
            stop_settling.abort();
        }
        renewal.abort();
    }

    /// Returns when the pump has ended, or one grace after the signal: a claim may hang in the database.
    async fn wait_for(&self, pump: &mut JoinSet<()>, shutdown: &Shutdown) {
        let ended = async {
            while let Some(ended) = pump.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "the pump of the worker died");
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
            () = too_late => tracing::warn!("batches still in work after the grace; their items will be claimed again"),
        }
    }

    fn pump(&self, runner: ChunkRunner, runs: Option<Vec<RunId>>) -> Pump {
        Pump {
            queue: Arc::clone(&self.queue),
            runner: Arc::new(runner),
            settings: self.settings.clone(),
            random: Arc::clone(&self.random),
            gate: Arc::clone(&self.gate),
            runs,
        }
    }
}

/// Randomness without a generator of our own: the random bits of a version 4 UUID.
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
