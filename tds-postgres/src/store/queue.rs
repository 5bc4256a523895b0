//! The queue as the workers see it.

use std::time::Duration;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    queue::{ClaimRequest, Claimed, Lease, NewItem, Queue, Settle, Settled, Settlement},
};

use super::PgStore;
use crate::{
    db::error::{Doing as _, classify, is_locked},
    queue::{claim, fold::enqueue_all, lease, settle::settle_all},
};

/// The maximum number of items of one transaction, so that no transaction stays open for long.
const CHUNK: usize = 2_000;
/// How long `enqueue` retries items whose rows another session has locked.
const PATIENCE: Duration = Duration::from_secs(10);

#[async_trait]
impl Queue for PgStore {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        let mut locked = None;
        for chunk in items.chunks(CHUNK) {
            let chunk: Vec<&NewItem> = chunk.iter().collect();
            if let Err(fault) = enqueue_all(&self.database, chunk, PATIENCE).await {
                let fault_is_a_lock = is_locked(&fault);
                let error = classify(fault, "queueing work");
                if !fault_is_a_lock {
                    return Err(error);
                }
                locked.get_or_insert(error);
            }
        }
        self.work.announce();
        locked.map_or(Ok(()), Err)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        if request.scope.is_everything() {
            claim::claim(&self.database, &self.cursors, request).await
        } else {
            claim::claim_scoped(&self.database, request).await
        }
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        lease::renew(&self.database, leases, lease).await.doing("renewing leases")
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        lease::held(&self.database, leases).await.doing("checking which claims are held")
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        lease::mark_processing(&self.database, leases).await.doing("marking work as processing")
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
        if settlements.is_empty() {
            return Ok(Settled::default());
        }
        let settled = settle_all(&self.database, &settlements).await.doing("settling claims")?;
        let completes = |it: &Settlement| matches!(it.settle, Settle::Complete(_));
        if settled.again > 0 || !settlements.iter().all(completes) {
            // Items that run again may be due. If none is due, one more look at the queue costs little.
            self.work.announce();
        }
        Ok(settled)
    }

    async fn wait(&self, timeout: Duration) {
        self.work.wait(timeout).await;
    }
}
