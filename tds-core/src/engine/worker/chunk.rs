//! Chunks. A chunk is a batch of items of one entity type, from the handler to the settlement.

use std::{sync::Arc, time::Duration};

use super::{
    Worker,
    leases::{Gone, Leases},
    settler::Settler,
    slots::{BatchSlot, BatchSlots},
};
use crate::{
    error::{Error, Result},
    handler::{BatchHandler, Handled},
    queue::{Claimed, Lane, Settle, Settlement},
    retry::Decision,
    shutdown::Shutdown,
};

/// How long items of an entity type without a handler wait. Another process may have a handler for it.
const UNKNOWN_ENTITY: Duration = Duration::from_secs(60);
/// How long an item that could not be decided waits.
const AGAIN: Duration = Duration::from_secs(1);

/// The data that every chunk needs.
pub(super) struct ChunkRunner {
    pub(super) worker: Worker,
    pub(super) leases: Arc<Leases>,
    pub(super) settler: Settler,
}

impl ChunkRunner {
    /// Returns how many items like this one the handler wants in a batch.
    pub(super) fn batch_size(&self, item: &Claimed) -> usize {
        self.handler(item).map_or(100, |handler| handler.batch_size(item).max(1))
    }

    fn handler(&self, item: &Claimed) -> Option<&Arc<dyn BatchHandler>> {
        self.worker.registry.handler(item.key.direction, &item.key.entity)
    }

    /// Waits for a slot if none was free, then handles the chunk and settles it. The slot is free again when the chunk
    /// is handled. The items no longer count as claimed when the chunk is settled.
    pub(super) fn run(
        self: Arc<Self>,
        items: Vec<Claimed>,
        slots: BatchSlots,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send {
        let lane = items.first().map_or(Lane::Verify, |item| item.lane);
        // The slots are taken before the future is polled, so that the next claim counts them.
        let (held, claimed, slot) =
            (self.leases.hold(&items), slots.claim(items.len()), slots.try_handle(lane));
        async move {
            let settlements = tokio::select! {
                biased;
                gone = held.lost() => {
                    self.worker.tally.lost(gone.len());
                    given_back(&items, &gone)
                }
                never = held.mark_processing() => match never {},
                settlements = self.handle_in(slot, lane, &items, &slots, &shutdown) => settlements,
            };
            if let Some(item) = items.first() {
                self.worker.tally.ended(&item.key.entity, &settlements);
            }
            self.settler.settle(settlements).await;
            drop((held, claimed));
        }
    }

    /// Waits for a slot if the chunk has none yet, and handles the items. At the shutdown signal, the items are
    /// given back instead.
    async fn handle_in(
        &self,
        slot: BatchSlot,
        lane: Lane,
        items: &[Claimed],
        slots: &BatchSlots,
        shutdown: &Shutdown,
    ) -> Vec<Settlement> {
        let slot = match slot {
            None => tokio::select! {
                biased;
                () = shutdown.wait() => None,
                slot = slots.handle(lane) => slot,
            },
            slot => slot,
        };
        let Some(_slot) = slot else {
            return items.iter().map(|item| Settlement::new(item, release(Duration::ZERO, None))).collect();
        };
        let began = tokio::time::Instant::now();
        let settlements = self.handle(items).await;
        let elapsed = began.elapsed();
        slots.handled(items.len(), elapsed);
        if let Some(item) = items.first() {
            self.worker.tally.handled(&item.key.entity, &settlements, elapsed);
        }
        settlements
    }

    async fn handle(&self, items: &[Claimed]) -> Vec<Settlement> {
        let Some(handler) = items.first().and_then(|item| self.handler(item)) else {
            let reason = "this process has no handler for the entity type".to_owned();
            return items
                .iter()
                .map(|item| Settlement::new(item, release(UNKNOWN_ENTITY, Some(reason.clone()))))
                .collect();
        };
        let (deadly, fresh): (Vec<Claimed>, Vec<Claimed>) =
            items.iter().cloned().partition(Claimed::ends_its_worker);
        let mut settlements: Vec<Settlement> = deadly.iter().map(given_up).collect();
        let results = guarded(handler, &fresh).await;
        settlements.extend(fresh.iter().zip(results).map(|(item, result)| self.settlement_of(item, result)));
        settlements
    }

    fn settlement_of(&self, item: &Claimed, result: Result<Handled>) -> Settlement {
        let settle = match result {
            Ok(Handled::Done(outcome)) => Settle::Complete(outcome),
            Ok(Handled::Reread) => Settle::Release { after: AGAIN, fetch: true, reason: None },
            Ok(Handled::Retry { after, reason }) => release(after, Some(reason)),
            Ok(Handled::Reroute { entity: to, work }) => Settle::Redirect { to, work },
            Err(error) => self.settle_error(item, &error),
        };
        Settlement::new(item, settle)
    }

    fn settle_error(&self, item: &Claimed, error: &Error) -> Settle {
        let Worker { settings, random, gate, wording, .. } = &self.worker;
        let text = error.explain(*wording);
        match settings.policy.decide(item.retry_count, error, random()) {
            Decision::Retry(after) => {
                tracing::info!(record = %item.key, item = %item.id, error = %text, ?after, "attempt failed");
                Settle::Retry { after, error: text }
            }
            // This process may not ask the source. Another process, or this process later, has to find the item due.
            // Without its payload, this process does not claim the item before the gate is open.
            Decision::Release(_) if !gate() => {
                tracing::debug!(
                    record = %item.key, item = %item.id, error = %text,
                    "the item is left to a process that may ask the source"
                );
                Settle::Release { after: Duration::ZERO, fetch: true, reason: Some(text) }
            }
            Decision::Release(after) => {
                tracing::debug!(record = %item.key, item = %item.id, error = %text, ?after, "released");
                release(after, Some(text))
            }
            Decision::DeadLetter => {
                tracing::warn!(record = %item.key, item = %item.id, error = %text, "dead letter");
                Settle::DeadLetter { error: text }
            }
        }
    }
}

/// Runs a handler so that a panic costs only the item that causes it: the items of a batch that panics are handled
/// again, one by one.
async fn guarded(handler: &Arc<dyn BatchHandler>, items: &[Claimed]) -> Vec<Result<Handled>> {
    if items.is_empty() {
        return Vec::new();
    }
    if let Some(results) = unwound(handler, items).await {
        return results;
    }
    if let [item] = items {
        let error = Error::internal(format!("the handler panicked on {}; see the log", item.key));
        return vec![Err(error)];
    }
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let one = Box::pin(guarded(handler, std::slice::from_ref(item))).await;
        results.extend(one);
    }
    results
}

/// Returns the results of the handler, or `None` if it panicked. The handler runs in its own task, which ends
/// when this future is dropped.
async fn unwound(handler: &Arc<dyn BatchHandler>, items: &[Claimed]) -> Option<Vec<Result<Handled>>> {
    let (handler, batch) = (Arc::clone(handler), items.to_vec());
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move { handler.handle_batch(&batch).await });
    let mut results = match task.join_next().await {
        Some(Ok(results)) => results,
        _ => return None,
    };
    results.truncate(items.len());
    while results.len() < items.len() {
        results.push(Err(Error::internal("the handler gave no result for this item")));
    }
    Some(results)
}

fn release(after: Duration, reason: Option<String>) -> Settle {
    Settle::Release { after, fetch: false, reason }
}

/// Returns the settlements of a batch of which some claims were lost. The work on the batch has stopped; the items
/// that are still held are given back and are due at once.
fn given_back(items: &[Claimed], gone: &Gone) -> Vec<Settlement> {
    let rest: Vec<&Claimed> = items.iter().filter(|item| !gone.contains(&item.lease())).collect();
    tracing::warn!(
        lost = items.len() - rest.len(),
        given_back = rest.len(),
        "claims were lost: another worker holds the items, or the items were removed from the queue"
    );
    rest.into_iter().map(|item| Settlement::new(item, release(Duration::ZERO, None))).collect()
}

/// Returns the settlement of an item that was being processed each time a worker died, the last time alone. The
/// item is not tried again.
fn given_up(item: &Claimed) -> Settlement {
    let error = format!(
        "processing this item ends the program: {} workers in a row died or stopped renewing their leases while they \
         held it, the last one while it worked on nothing else. Look in the log for the end of the program, and \
         report it with this record; then retry the item",
        item.lost_leases
    );
    tracing::error!(record = %item.key, item = %item.id, error, "dead letter");
    Settlement::new(item, Settle::DeadLetter { error })
}
