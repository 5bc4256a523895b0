//! Queues that break their promises about claims.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    error::Result,
    memory::MemoryStore,
    queue::{
        ClaimRequest, ClaimScope, Claimed, ItemId, Lease, LeaseToken, NewItem, Queue, Settled, Settlement,
        Waiter,
    },
    testkit::conformance::Stores,
};

use crate::memory::Memory;

/// What is broken.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Settlements count with any token.
    WithoutFence,
    /// Renewals are confirmed and do nothing.
    ForgottenRenewal,
    /// Claims have no lease.
    LeaselessClaim,
    /// Settlements do not look at what arrived meanwhile.
    LostNews,
    /// Settlements decide by a look at who waits that is as old as the claim.
    MissedLatecomers,
}

struct Broken {
    store: MemoryStore,
    fault: Fault,
    current: Mutex<HashMap<ItemId, LeaseToken>>,
    /// Who waited when the item was claimed.
    looks: Mutex<HashMap<ItemId, Vec<Waiter>>>,
}

#[async_trait]
impl Queue for Broken {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        self.store.enqueue(items).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        self.claim_scoped(request, &ClaimScope::default()).await
    }

    async fn claim_scoped(&self, request: &ClaimRequest, scope: &ClaimScope) -> Result<Vec<Claimed>> {
        let mut request = request.clone();
        if self.fault == Fault::LeaselessClaim {
            request.lease = Duration::ZERO;
        }
        let claimed = self.store.claim_scoped(&request, scope).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.extend(claimed.iter().map(|item| (item.id, item.token)));
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.extend(claimed.iter().map(|item| {
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
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            match self.fault {
                Fault::WithoutFence => {
                    if let Some(token) = current.get(&settlement.lease.id) {
                        settlement.lease.token = *token;
                    }
                }
                Fault::LostNews => settlement.generation = i64::MAX,
                Fault::ForgottenRenewal | Fault::LeaselessClaim | Fault::MissedLatecomers => {}
            }
        }
        if self.fault == Fault::MissedLatecomers {
            // Time for somebody to be late.
            tokio::time::sleep(Duration::from_millis(2)).await;
            self.miss_latecomers(&settlements);
        }
        self.store.settle(settlements).await
    }

    async fn wait(&self, timeout: Duration) {
        self.store.wait(timeout).await;
    }
}

impl Broken {
    /// Loses who was attached to an item since it was claimed and brought no news.
    fn miss_latecomers(&self, settlements: &[Settlement]) {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        for settlement in settlements {
            let Some(look) = looks.get(&settlement.lease.id) else { continue };
            let waiting = self.store.waiting(settlement.lease.id);
            if waiting.iter().any(|(_, generation)| *generation > settlement.generation) {
                continue;
            }
            for (waiter, _) in waiting.into_iter().filter(|(waiter, _)| !look.contains(waiter)) {
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
        looks: Mutex::default(),
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

pub(super) fn loses_news(intact: &Memory, stores: &mut Stores) {
    broken(intact, stores, Fault::LostNews);
}
