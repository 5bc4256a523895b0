//! Queues that break their promises about claims.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    error::Result,
    lock::lock,
    memory::MemoryStore,
    queue::{ClaimRequest, Claimed, ItemId, Lease, LeaseToken, NewItem, Queue, Settled, Settlement, Waiter},
    testkit::conformance::Stores,
};

use crate::memory::Memory;

/// The fault of the queue.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Settlements count with any fencing token.
    WithoutFence,
    /// Renewals are confirmed but have no effect.
    ForgottenRenewal,
    /// Claims have no lease.
    LeaselessClaim,
    /// Settlements ignore the work that arrived since the claim.
    LostChanges,
    /// Settlements decide by the list of waiters at the time of the claim.
    MissedLatecomers,
}

struct Broken {
    store: MemoryStore,
    fault: Fault,
    current: Mutex<HashMap<ItemId, LeaseToken>>,
    /// The waiters of each item at the time of the claim.
    waiters: Mutex<HashMap<ItemId, Vec<Waiter>>>,
}

#[async_trait]
impl Queue for Broken {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        self.store.enqueue(items).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        let mut request = request.clone();
        if self.fault == Fault::LeaselessClaim {
            request.lease = Duration::ZERO;
        }
        let claimed = self.store.claim(&request).await?;
        let mut current = lock(&self.current);
        current.extend(claimed.iter().map(|item| (item.id, item.token)));
        let mut waiters = lock(&self.waiters);
        waiters.extend(claimed.iter().map(|item| {
            (item.id, self.store.waiting(item.id).into_iter().map(|(waiter, _)| waiter).collect())
        }));
        Ok(claimed)
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        match self.fault {
            Fault::ForgottenRenewal => Ok(leases.to_vec()),
            _ => self.store.renew(leases, lease).await,
        }
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        self.store.held(leases).await
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        self.store.mark_processing(leases).await
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<Settled> {
        for settlement in &mut settlements {
            let current = lock(&self.current);
            match self.fault {
                Fault::WithoutFence => {
                    if let Some(token) = current.get(&settlement.lease.id) {
                        settlement.lease.token = *token;
                    }
                }
                Fault::LostChanges => settlement.generation = i64::MAX,
                Fault::ForgottenRenewal | Fault::LeaselessClaim | Fault::MissedLatecomers => {}
            }
        }
        if self.fault == Fault::MissedLatecomers {
            // This pause gives a waiter the time to arrive late.
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.forget_late_waiters(&settlements);
        }
        self.store.settle(settlements).await
    }

    async fn wait(&self, timeout: Duration) {
        self.store.wait(timeout).await;
    }
}

impl Broken {
    /// Loses the waiters that were attached to an item since the claim without bringing new work.
    fn forget_late_waiters(&self, settlements: &[Settlement]) {
        let waiters = lock(&self.waiters);
        for settlement in settlements {
            let Some(known) = waiters.get(&settlement.lease.id) else { continue };
            let waiting = self.store.waiting(settlement.lease.id);
            if waiting.iter().any(|(_, generation)| *generation > settlement.generation) {
                continue;
            }
            for (waiter, _) in waiting.into_iter().filter(|(waiter, _)| !known.contains(waiter)) {
                self.store.lose_waiter(settlement.lease.id, waiter);
            }
        }
    }
}

fn broken(intact: &Memory, stores: &mut Stores, fault: Fault) {
    stores.queue = Arc::new(Broken {
        store: intact.store.clone(),
        fault,
        current: Mutex::default(),
        waiters: Mutex::default(),
    });
}

pub(super) fn without_fence(intact: &Memory, stores: &mut Stores) {
    broken(intact, stores, Fault::WithoutFence);
}

pub(super) fn forgets_renewals(intact: &Memory, stores: &mut Stores) {
    broken(intact, stores, Fault::ForgottenRenewal);
}

pub(super) fn forgets_leases(intact: &Memory, stores: &mut Stores) {
    broken(intact, stores, Fault::LeaselessClaim);
}

pub(super) fn misses_latecomers(intact: &Memory, stores: &mut Stores) {
    broken(intact, stores, Fault::MissedLatecomers);
}

pub(super) fn loses_changes(intact: &Memory, stores: &mut Stores) {
    broken(intact, stores, Fault::LostChanges);
}
