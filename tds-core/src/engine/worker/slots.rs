//! The slots of a process. They bound how many batches it has in work and in hand.
//!
//! A batch is in work while its handler runs. A batch is in hand from its claim until it is settled.

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
/// The number of batches that may be in hand for each batch that may be in work. While some are settled, others are
/// handled.
const IN_HAND: usize = 8;
/// The largest number of batches of one claim.
const MOST: usize = 10;
/// The time per batch that separates quick batches from slow ones. While batches are quick, the process claims more
/// batches than can be in work, because many small claims would take longer than the handling. While batches are slow,
/// it does not, because another process could work on the batches that this process has in hand.
const QUICK: Duration = Duration::from_millis(50);

/// The slots of a process. One of several slots is reserved for pushed events, so that a long bulk batch never makes
/// a webhook wait.
#[derive(Clone)]
pub(super) struct BatchSlots {
    common: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
    hands: Arc<Semaphore>,
    /// The moving average of the time that the items of one batch take, in microseconds.
    took: Arc<AtomicU64>,
}

/// The room for new claims.
pub(super) struct Room {
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
            hands: Arc::new(Semaphore::new(concurrency * IN_HAND)),
            took: Arc::new(AtomicU64::new(u64::MAX / 8)),
        }
    }

    /// Notes how long a number of items took together.
    pub(super) fn handled(&self, items: usize, took: Duration) {
        let batches = u128::try_from(items.div_ceil(BATCH).max(1)).unwrap_or(1);
        let took = u64::try_from(took.as_micros() / batches).unwrap_or(u64::MAX / 8);
        let average = self.took.load(Ordering::Relaxed);
        // The average rises at once and falls slowly: the first slow batch must not find many batches in hand.
        let next = if took > average { took } else { average / 2 + took / 2 };
        self.took.store(next.min(u64::MAX / 8), Ordering::Relaxed);
    }

    /// Waits until there is room. Batches that already wait for a place get theirs first.
    pub(super) async fn room(&self) -> Room {
        let (hand, common) = tokio::join!(self.hands.acquire(), async {
            tokio::select! {
                biased;
                place = self.common.acquire() => place.is_ok(),
                _ = self.urgent.acquire() => false,
            }
        });
        drop(hand);
        let up_to = if common { Lane::Verify } else { Lane::Webhook };
        let hands = self.hands.available_permits();
        let is_quick = u128::from(self.took.load(Ordering::Relaxed)) < QUICK.as_micros();
        let batches = if is_quick { MOST } else { self.common.available_permits() }.min(hands);
        Room { up_to, batches: batches.max(1) }
    }

    /// Returns when a place is free for a batch of any lane.
    pub(super) async fn any_lane(&self) {
        // The semaphore is never closed.
        drop(self.common.acquire().await);
    }

    /// Takes places in hand for items, until the items are settled. If too few places are free, the rest is
    /// tolerated: one claim may contain many entity types.
    pub(super) fn hand(&self, items: usize) -> BatchSlot {
        let batches = items.div_ceil(BATCH).min(self.hands.available_permits());
        let batches = u32::try_from(batches).unwrap_or(u32::MAX);
        Arc::clone(&self.hands).try_acquire_many_owned(batches).ok()
    }

    /// Takes a place in work, where one is free now.
    pub(super) fn try_work(&self, lane: Lane) -> BatchSlot {
        let take = |slots: &Arc<Semaphore>| Arc::clone(slots).try_acquire_owned().ok();
        take(&self.common).or_else(|| if lane.is_urgent() { take(&self.urgent) } else { None })
    }

    /// Waits for a place in work.
    pub(super) async fn work(&self, lane: Lane) -> BatchSlot {
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
        let _bulk = slots.try_work(Lane::Full).expect("free");
        assert!(slots.try_work(Lane::Full).is_none());
        assert_eq!(slots.room().await.up_to, Lane::Webhook);
        let _pushed = slots.try_work(Lane::Webhook).expect("kept");
        assert!(slots.try_work(Lane::Webhook).is_none());
    }

    #[tokio::test]
    async fn a_single_slot_takes_every_lane() {
        let slots = BatchSlots::new(1);
        assert_eq!(slots.room().await.up_to, Lane::Verify);
        let place = slots.try_work(Lane::Verify).expect("free");
        assert!(slots.try_work(Lane::Webhook).is_none());
        drop(place);
        assert!(slots.try_work(Lane::Webhook).is_some());
    }

    #[tokio::test]
    async fn the_room_for_a_claim_shrinks_with_unsettled_batches() {
        let slots = BatchSlots::new(3);
        assert_eq!(slots.room().await.batches, 2);
        let hands: Vec<BatchSlot> = (0..23).map(|_| slots.hand(BATCH)).collect();
        assert_eq!(slots.room().await.batches, 1);
        drop(hands);
        assert_eq!(slots.room().await.batches, 2);
    }

    #[tokio::test]
    async fn more_is_claimed_than_the_slots_take_while_batches_are_quick() {
        let slots = BatchSlots::new(2);
        for _ in 0..64 {
            slots.handled(500, Duration::from_millis(5));
        }
        assert_eq!(slots.room().await.batches, 10);
        let _hands = slots.hand(12 * BATCH + 1);
        assert_eq!(slots.room().await.batches, 3);
        slots.handled(BATCH, Duration::from_millis(200));
        assert_eq!(slots.room().await.batches, 1);
    }
}
