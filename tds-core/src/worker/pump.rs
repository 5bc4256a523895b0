//! Takes items from the queue while there are free slots.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::{Random, WorkerSettings, chunk::ChunkRunner};
use crate::{ClaimRequest, Claimed, EntityType, Lane, Queue, Shutdown};

/// How many items one claim takes at most.
const CLAIM: usize = 100;
/// The shortest rest after a claim that found less than it asked for.
const REST: Duration = Duration::from_millis(50);

/// Claims for some lanes and feeds a number of slots.
pub(super) struct Pump {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) runner: Arc<ChunkRunner>,
    pub(super) settings: WorkerSettings,
    pub(super) up_to: Lane,
    pub(super) slots: usize,
    pub(super) random: Random,
}

impl Pump {
    /// Runs until the signal, then waits for its chunks, but not longer than the grace.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let slots = Arc::new(Semaphore::new(self.slots));
        let mut chunks = JoinSet::new();
        let mut rest = REST;
        while !shutdown.is_set() {
            while chunks.try_join_next().is_some() {}
            if !free_slot(&slots, &shutdown).await {
                break;
            }
            let claimed = match self.claim().await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "could not claim; trying again");
                    shutdown.sleep(self.jitter(self.settings.poll)).await;
                    continue;
                }
            };
            rest = if claimed.is_empty() { (rest * 2).min(self.settings.poll) } else { REST };
            let full = claimed.len() >= CLAIM;
            for chunk in self.split(claimed) {
                let task = Arc::clone(&self.runner).run(chunk, Arc::clone(&slots), shutdown.clone());
                chunks.spawn(task);
            }
            if !full {
                tokio::select! {
                    biased;
                    () = shutdown.wait() => {}
                    () = self.queue.wait(self.jitter(rest)) => {}
                }
            }
        }
        let finish = async { while chunks.join_next().await.is_some() {} };
        if timeout(self.settings.grace, finish).await.is_err() {
            // Dropping the set ends the chunks; their items come back when the leases run out.
            tracing::warn!("batches still in work after the grace; their items will be claimed again");
        }
    }

    async fn claim(&self) -> crate::Result<Vec<Claimed>> {
        let request = ClaimRequest {
            worker: self.settings.worker.clone(),
            limit: CLAIM,
            lease: self.settings.lease,
            up_to: self.up_to,
        };
        self.queue.claim(&request).await
    }

    /// By entity type, in sizes that their handlers like; the order of urgency is kept within each.
    fn split(&self, claimed: Vec<Claimed>) -> Vec<Vec<Claimed>> {
        let mut by_entity: BTreeMap<EntityType, Vec<Claimed>> = BTreeMap::new();
        for item in claimed {
            by_entity.entry(item.key.entity.clone()).or_default().push(item);
        }
        let mut chunks = Vec::new();
        for (entity, mut items) in by_entity {
            let size = self.runner.batch_size(&entity);
            while items.len() > size {
                let tail = items.split_off(size);
                chunks.push(std::mem::replace(&mut items, tail));
            }
            chunks.push(items);
        }
        chunks.sort_by_key(|chunk| chunk.first().map(|item| item.lane));
        chunks
    }

    /// Processes that started together must not ask together for ever.
    fn jitter(&self, duration: Duration) -> Duration {
        duration.mul_f64(0.75 + (self.random)() * 0.5)
    }
}

/// Waits until a slot is free; false when the signal came first. Chunks that wait for a slot are served
/// before, so at most one claim's worth of items waits in memory.
async fn free_slot(slots: &Semaphore, shutdown: &Shutdown) -> bool {
    tokio::select! {
        biased;
        () = shutdown.wait() => false,
        slot = slots.acquire() => slot.is_ok(),
    }
}
