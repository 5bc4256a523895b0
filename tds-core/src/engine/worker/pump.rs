//! The pump: it claims items while the process has free slots.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};

use super::{
    Worker,
    chunk::ChunkRunner,
    slots::{BATCH, BatchSlots, Capacity},
};
use crate::{
    queue::{ClaimRequest, ClaimScope, Claimed, Direction, Lane},
    record::EntityType,
    runs::RunId,
    shutdown::Shutdown,
};

/// The shortest rest after a claim that found fewer items than it asked for.
const REST: Duration = Duration::from_millis(50);
/// How long the process begins no other work because of an item that may be what ends the program.
const ALONE: Duration = Duration::from_secs(10);

/// The pump of a process: it claims items and feeds them to the slots.
pub(super) struct Pump {
    pub(super) runner: Arc<ChunkRunner>,
    pub(super) runs: Option<Vec<RunId>>,
}

impl Pump {
    /// Claims until the shutdown signal. Then waits for the chunks that are being handled, but not longer than the
    /// grace.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let Worker { queue, settings, .. } = &self.runner.worker;
        let slots = BatchSlots::new(settings.concurrency);
        let mut chunks = JoinSet::new();
        let mut rest = REST;
        while !shutdown.is_set() {
            while chunks.try_join_next().is_some() {}
            let capacity = tokio::select! {
                biased;
                () = shutdown.wait() => break,
                capacity = slots.capacity() => capacity,
            };
            let claimed = match self.claim(&capacity).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "items could not be claimed; trying again");
                    shutdown.sleep(self.jitter(settings.poll)).await;
                    continue;
                }
            };
            rest = if claimed.is_empty() { (rest * 2).min(settings.poll) } else { REST };
            let full = claimed.len() >= capacity.batches * BATCH;
            let is_suspect = claimed.iter().any(Claimed::is_suspect);
            if is_suspect {
                for chunk in self.split(claimed) {
                    let runner = Arc::clone(&self.runner);
                    alone(&mut chunks, runner.run(chunk, slots.clone(), shutdown.clone())).await;
                }
                continue;
            }
            for chunk in self.split(claimed) {
                let runner = Arc::clone(&self.runner);
                chunks.spawn(runner.run(chunk, slots.clone(), shutdown.clone()));
            }
            if !full {
                tokio::select! {
                    biased;
                    () = shutdown.wait() => {}
                    () = queue.wait(self.jitter(rest)) => {}
                    // The claim asked only for urgent lanes, so items of other lanes may be due.
                    () = slots.any_lane(), if capacity.up_to != Lane::Verify => {}
                }
            }
        }
        let finish = async { while chunks.join_next().await.is_some() {} };
        if timeout(settings.grace, finish).await.is_err() {
            // Dropping the set ends the chunks. Their items can be claimed again when the leases run out.
            tracing::warn!(
                "some batches were still being handled at the end of the grace period; their items will be claimed again"
            );
        }
    }

    async fn claim(&self, capacity: &Capacity) -> crate::error::Result<Vec<Claimed>> {
        let Worker { queue, settings, gate, tally, .. } = &self.runner.worker;
        let request = ClaimRequest {
            worker: settings.worker.clone(),
            limit: capacity.batches * BATCH,
            lease: settings.lease,
            up_to: capacity.up_to,
            scope: ClaimScope { runs: self.runs.clone(), carried: !gate() },
        };
        let claimed = queue.claim(&request).await?;
        tally.claimed(&claimed);
        Ok(claimed)
    }

    /// Splits the items by direction, entity type and the batch size of the handler. The order of urgency is kept
    /// within each chunk, and the chunks are sorted by the lane of their first item.
    fn split(&self, claimed: Vec<Claimed>) -> Vec<Vec<Claimed>> {
        let mut alike: BTreeMap<(Direction, EntityType, usize), Vec<Claimed>> = BTreeMap::new();
        for item in claimed {
            let size = self.runner.batch_size(&item);
            alike.entry((item.key.direction, item.key.entity.clone(), size)).or_default().push(item);
        }
        let mut chunks = Vec::new();
        for ((.., size), mut items) in alike {
            while items.len() > size {
                let tail = items.split_off(size);
                chunks.push(std::mem::replace(&mut items, tail));
            }
            chunks.push(items);
        }
        chunks.sort_by_key(|chunk| chunk.first().map(|item| item.lane));
        chunks
    }

    /// Varies a wait at random, so that processes that started together do not ask the queue together for ever.
    fn jitter(&self, duration: Duration) -> Duration {
        duration.mul_f64(0.75 + (self.runner.worker.random)() * 0.5)
    }
}

/// Runs a chunk after the other chunks have ended, so that it cannot harm them, and waits for its end. Each of the
/// two waits ends after `ALONE` at the latest.
async fn alone(chunks: &mut JoinSet<()>, chunk: impl Future<Output = ()> + Send + 'static) {
    let others = async { while chunks.join_next().await.is_some() {} };
    if timeout(ALONE, others).await.is_err() {
        tracing::debug!(
            "an item that may end the program is tried while other items are being handled, because those take long"
        );
    }
    let number = chunks.len();
    chunks.spawn(chunk);
    let ended = async { while chunks.len() > number && chunks.join_next().await.is_some() {} };
    if timeout(ALONE, ended).await.is_err() {
        tracing::debug!("an item that may end the program takes long; other work continues meanwhile");
    }
}
