//! The slots of a process. They bound how many batches the process handles at a time, and how many it has claimed.
//!
//! A batch is being handled while its handler runs. A batch is claimed from its claim until it is settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::queue::Lane;

/// The number of items that count as one batch.
pub(super) const BATCH: usize = 100;
/// The number of batches that may be claimed for each batch that may be handled at a time. While some are settled,
/// others are handled.
const CLAIMED: usize = 8;
/// The maximum number of batches of one claim.
const MOST: usize = 10;
/// The time per batch that separates quick batches from slow ones. While batches are quick, the process claims more
/// batches than it can handle at a time, because many small claims would take longer than the handling. While batches
/// are slow, it does not, because another process could handle the batches that this process has claimed.
const QUICK: Duration = Duration::from_millis(50);

/// The slots of a process. One of several slots is reserved for pushed events, so that a long bulk batch never makes
/// a webhook wait.
#[derive(Clone)]
pub(super) struct BatchSlots {
    common: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
    claimed: Arc<Semaphore>,
    /// The moving average of the time that the items of one batch take, in microseconds.
    took: Arc<AtomicU64>,
}

/// What the next claim may take.
pub(super) struct Capacity {
    /// The least urgent lane to claim from.
    pub(super) up_to: Lane,
    /// The number of batches.
    pub(super) batches: usize,
}

/// The slot of a batch, if the batch has one. Dropping it frees the slot.
pub(super) type BatchSlot = Option<OwnedSemaphorePermit>;

impl BatchSlots {
    pub(super) fn new(concurrency: usize) -> Self {
        let urgent = usize::from(concurrency > 1);
        Self {
            common: Arc::new(Semaphore::new(concurrency - urgent)),
            urgent: Arc::new(Semaphore::new(urgent)),
            claimed: Arc::new(Semaphore::new(concurrency * CLAIMED)),
            took: Arc::new(AtomicU64::new(u64::MAX / 8)),
        }
    }

    /// Notes how long a number of items took together.
    pub(super) fn handled(&self, items: usize, took: Duration) {
        let batches = u128::try_from(items.div_ceil(BATCH).max(1)).unwrap_or(1);
        let took = u64::try_from(took.as_micros() / batches).unwrap_or(u64::MAX / 8);
        let average = self.took.load(Ordering::Relaxed);
        // The average rises at once and falls slowly: the first slow batch must not find many claimed batches.
        let next = if took > average { took } else { average / 2 + took / 2 };
        self.took.store(next.min(u64::MAX / 8), Ordering::Relaxed);
    }

    /// Waits until a slot is free for a new claim. Batches that already wait for a slot get theirs first.
    pub(super) async fn capacity(&self) -> Capacity {
        let (claim, common) = tokio::join!(self.claimed.acquire(), async {
            tokio::select! {
                biased;
                slot = self.common.acquire() => slot.is_ok(),
                _ = self.urgent.acquire() => false,
            }
        });
        drop(claim);
        let up_to = if common { Lane::Verify } else { Lane::Webhook };
        let unclaimed = self.claimed.available_permits();
        let is_quick = u128::from(self.took.load(Ordering::Relaxed)) < QUICK.as_micros();
        let batches = if is_quick { MOST } else { self.common.available_permits() }.min(unclaimed);
        Capacity { up_to, batches: batches.max(1) }
    }

    /// Returns when a slot is free for a batch of any lane.
    pub(super) async fn any_lane(&self) {
        // The semaphore is never closed.
        drop(self.common.acquire().await);
    }

    /// Counts items as claimed, until the items are settled. If the claim is larger than the limit allows, the excess
    /// is tolerated: one claim may contain many entity types.
    pub(super) fn claim(&self, items: usize) -> BatchSlot {
        let batches = items.div_ceil(BATCH).min(self.claimed.available_permits());
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        Arc::clone(&self.claimed).try_acquire_many_owned(batches).ok()
    }

    /// Takes a slot for handling a batch, if one is free now.
    pub(super) fn try_handle(&self, lane: Lane) -> BatchSlot {
        let take = |slots: &Arc<Semaphore>| Arc::clone(slots).try_acquire_owned().ok();
        take(&self.common).or_else(|| if lane.is_urgent() { take(&self.urgent) } else { None })
    }

    /// Waits for a slot for handling a batch.
    pub(super) async fn handle(&self, lane: Lane) -> BatchSlot {
        tokio::select! {
            biased;
            permit = Arc::clone(&self.common).acquire_owned() => permit.ok(),
            permit = Arc::clone(&self.urgent).acquire_owned(), if lane.is_urgent() => permit.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_slot_is_kept_for_webhooks() {
        let slots = BatchSlots::new(2);
        let _bulk = slots.try_handle(Lane::Full).expect("free");
        assert!(slots.try_handle(Lane::Full).is_none());
        assert_eq!(slots.capacity().await.up_to, Lane::Webhook);
        let _pushed = slots.try_handle(Lane::Webhook).expect("kept");
        assert!(slots.try_handle(Lane::Webhook).is_none());
    }

    #[tokio::test]
    async fn a_single_slot_takes_every_lane() {
        let slots = BatchSlots::new(1);
        assert_eq!(slots.capacity().await.up_to, Lane::Verify);
        let slot = slots.try_handle(Lane::Verify).expect("free");
        assert!(slots.try_handle(Lane::Webhook).is_none());
        drop(slot);
        assert!(slots.try_handle(Lane::Webhook).is_some());
    }

    #[tokio::test]
    async fn the_capacity_for_a_claim_shrinks_with_unsettled_batches() {
        let slots = BatchSlots::new(3);
        assert_eq!(slots.capacity().await.batches, 2);
        let claimed: Vec<BatchSlot> = (0..23).map(|_| slots.claim(BATCH)).collect();
        assert_eq!(slots.capacity().await.batches, 1);
        drop(claimed);
        assert_eq!(slots.capacity().await.batches, 2);
    }

    #[tokio::test]
    async fn more_is_claimed_than_the_slots_take_while_batches_are_quick() {
        let slots = BatchSlots::new(2);
        for _ in 0..64 {
            slots.handled(500, Duration::from_millis(5));
        }
        assert_eq!(slots.capacity().await.batches, 10);
        let _claimed = slots.claim(12 * BATCH + 1);
        assert_eq!(slots.capacity().await.batches, 3);
        slots.handled(BATCH, Duration::from_millis(200));
        assert_eq!(slots.capacity().await.batches, 1);
    }
}
