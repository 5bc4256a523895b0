//! Keeps claims alive while their items are in hand.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{Claimed, Lease, Queue};

/// Work that is over within this is not shown: that would be a write more for each event.
const MOMENT: Duration = Duration::from_millis(500);

/// The claims of this process.
pub(super) struct Leases {
    queue: Arc<dyn Queue>,
    lease: Duration,
    held: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    next: u64,
    /// In the order of their beginning, so that two runs of a simulation renew alike.
    chunks: BTreeMap<u64, (Vec<Lease>, Arc<Notify>)>,
}

/// One chunk's claims; dropping it ends their renewal.
pub(super) struct Held {
    leases: Arc<Leases>,
    key: u64,
    lost: Arc<Notify>,
}

impl Leases {
    pub(super) fn new(queue: Arc<dyn Queue>, lease: Duration) -> Self {
        Self { queue, lease, held: Mutex::default() }
    }

    /// Renews these claims from now on.
    pub(super) fn hold(self: &Arc<Self>, items: &[Claimed]) -> Held {
        let leases = items.iter().map(|item| Lease { id: item.id, token: item.token }).collect();
        let lost = Arc::new(Notify::new());
        let mut ledger = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.next += 1;
        let key = ledger.next;
        ledger.chunks.insert(key, (leases, Arc::clone(&lost)));
        Held { leases: Arc::clone(self), key, lost }
    }

    /// Renews all claims three times per lease, for ever.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            let all: Vec<Lease> = self.snapshot();
            if all.is_empty() {
                continue;
            }
            match self.queue.renew(&all, self.lease).await {
                Ok(kept) => {
                    let kept: HashSet<Lease> = kept.into_iter().collect();
                    self.tell_losers(&all.into_iter().filter(|lease| !kept.contains(lease)).collect());
                }
                // The leases have two thirds of their time left: the next round tries again.
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "leases could not be renewed; trying again")
                }
            }
        }
    }

    fn snapshot(&self) -> Vec<Lease> {
        let ledger = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.chunks.values().flat_map(|(leases, _)| leases.iter().copied()).collect()
    }

    /// Chunks that lost every claim are told to stop.
    fn tell_losers(&self, gone: &HashSet<Lease>) {
        let ledger = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for (leases, lost) in ledger.chunks.values() {
            if !leases.is_empty() && leases.iter().all(|lease| gone.contains(lease)) {
                lost.notify_one();
            }
        }
    }
}

impl Held {
    /// Shows the work where it takes longer than a moment; never returns.
    pub(super) async fn show(&self) -> Infallible {
        tokio::time::sleep(MOMENT).await;
        let leases = self.claims();
        if let Err(error) = self.leases.queue.show(&leases).await {
            tracing::debug!(error = %error.chain(), "events at work could not be shown as such");
        }
        std::future::pending().await
    }

    fn claims(&self) -> Vec<Lease> {
        let ledger = self.leases.held.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.chunks.get(&self.key).map_or_else(Vec::new, |(leases, _)| leases.clone())
    }

    /// Returns when every claim of the chunk was lost.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut ledger = self.leases.held.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.chunks.remove(&self.key);
    }
}
