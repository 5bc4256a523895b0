//! The leases of a process: they are renewed while their items are being handled.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    lock::lock,
    queue::{Claimed, Lease, Queue},
};

/// Claims that finish within 500 ms are never marked `processing`: each mark costs one UPDATE.
const MOMENT: Duration = Duration::from_millis(500);

/// How often the process checks whether its claims are still held. A run may be cancelled, and the items that it
/// enqueued must cost no further call.
const LOOK: Duration = Duration::from_secs(2);

/// Claims that were lost.
pub(super) type Gone = HashSet<Lease>;

/// The claims of this process.
pub(super) struct Leases {
    queue: Arc<dyn Queue>,
    lease: Duration,
    held: Mutex<HeldChunks>,
}

#[derive(Default)]
struct HeldChunks {
    next: u64,
    /// The chunks in the order in which they began, so that two runs of a simulation renew in the same order.
    chunks: BTreeMap<u64, Chunk>,
}

struct Chunk {
    leases: Vec<Lease>,
    began: Instant,
    gone: Gone,
    /// Notified when some claims are lost.
    lost: Arc<Notify>,
}

/// The claims of one chunk. Dropping this value ends their renewal.
pub(super) struct HeldClaims {
    leases: Arc<Leases>,
    key: u64,
    lost: Arc<Notify>,
}

impl Leases {
    pub(super) fn new(queue: Arc<dyn Queue>, lease: Duration) -> Self {
        Self { queue, lease, held: Mutex::default() }
    }

    /// Renews the claims of these items from now on.
    pub(super) fn hold(self: &Arc<Self>, items: &[Claimed]) -> HeldClaims {
        let leases = items.iter().map(|item| item.lease()).collect();
        let lost = Arc::new(Notify::new());
        let chunk = Chunk { leases, began: Instant::now(), gone: Gone::new(), lost: Arc::clone(&lost) };
        let mut held = lock(&self.held);
        held.next += 1;
        let key = held.next;
        held.chunks.insert(key, chunk);
        HeldClaims { leases: Arc::clone(self), key, lost }
    }

    /// Renews all claims three times per lease, for ever. Between two renewals, checks whether the claims of long
    /// batches are still held.
    pub(super) async fn keep(self: Arc<Self>) {
        let look = (self.lease / 3).min(LOOK);
        let mut renewal = Instant::now() + self.lease / 3;
        loop {
            tokio::time::sleep(look).await;
            let renews = Instant::now() + look / 2 >= renewal;
            let claims = self.older_than(if renews { Duration::ZERO } else { look });
            if renews {
                renewal = Instant::now() + self.lease / 3;
            }
            if claims.is_empty() {
                continue;
            }
            let kept = if renews {
                self.queue.renew(&claims, self.lease).await
            } else {
                self.queue.held(&claims).await
            };
            match kept {
                Ok(kept) => {
                    let kept: HashSet<Lease> = kept.into_iter().collect();
                    self.mark_lost(&claims.into_iter().filter(|lease| !kept.contains(lease)).collect());
                }
                // Two thirds of the lease remain. The next round tries again.
                Err(error) => {
                    tracing::warn!(
                        error = %error.chain(), renews,
                        "the store did not say which leases are still held; trying again"
                    )
                }
            }
        }
    }

    /// Returns the claims of the chunks that began at least this long ago.
    fn older_than(&self, age: Duration) -> Vec<Lease> {
        let held = lock(&self.held);
        let old = held.chunks.values().filter(|chunk| chunk.began.elapsed() >= age);
        old.flat_map(|chunk| chunk.leases.iter().copied()).collect()
    }

    /// Notifies the chunks that lost claims.
    fn mark_lost(&self, gone: &Gone) {
        let mut held = lock(&self.held);
        for chunk in held.chunks.values_mut() {
            let before = chunk.leases.len();
            chunk.gone.extend(chunk.leases.extract_if(.., |lease| gone.contains(lease)));
            if chunk.leases.len() < before {
                chunk.lost.notify_one();
            }
        }
    }
}

impl HeldClaims {
    /// Marks the claims as processing if their work takes longer than a moment. Never returns.
    pub(super) async fn mark_processing(&self) -> Infallible {
        tokio::time::sleep(MOMENT).await;
        let leases = lock(&self.leases.held).chunks.get(&self.key).map(|chunk| chunk.leases.clone());
        if let Err(error) = self.leases.queue.mark_processing(&leases.unwrap_or_default()).await {
            tracing::debug!(error = %error.chain(), "events of claimed items could not be marked as processing");
        }
        std::future::pending().await
    }

    /// Waits until claims of the chunk are lost, and returns those claims.
    pub(super) async fn lost(&self) -> Gone {
        self.lost.notified().await;
        let held = lock(&self.leases.held);
        held.chunks.get(&self.key).map_or_else(Gone::new, |chunk| chunk.gone.clone())
    }
}

impl Drop for HeldClaims {
    fn drop(&mut self) {
        let mut held = lock(&self.leases.held);
        held.chunks.remove(&self.key);
    }
}
