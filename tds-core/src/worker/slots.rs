//! How much a process has in hand: batches at work, and batches that wait for their settling.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Lane;

/// Batches that may be in hand for each that may be at work: while some are settled, others are handled.
const IN_HAND: usize = 4;

/// The places of a process. One of several is kept for what was pushed, so that a long bulk batch never makes a
/// webhook wait.
#[derive(Clone)]
pub(super) struct Slots {
    common: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
    hands: Arc<Semaphore>,
}

/// What may be claimed now.
pub(super) struct Room {
    /// Only lanes at least as urgent as this one.
    pub(super) up_to: Lane,
    /// How many batches.
    pub(super) batches: usize,
}

/// A batch's place; dropping it makes room.
pub(super) struct Place(#[expect(dead_code, reason = "held, never looked at")] Option<OwnedSemaphorePermit>);

impl Slots {
    pub(super) fn new(concurrency: usize) -> Self {
        let urgent = usize::from(concurrency > 1);
        Self {
            common: Arc::new(Semaphore::new(concurrency - urgent)),
            urgent: Arc::new(Semaphore::new(urgent)),
            hands: Arc::new(Semaphore::new(concurrency * IN_HAND)),
        }
    }

    /// Waits until there is room. Batches that wait for a place are served before.
    pub(super) async fn room(&self) -> Room {
        let (hand, common) = tokio::join!(self.hands.acquire(), async {
            tokio::select! {
                biased;
                place = self.common.acquire() => place.is_ok(),
                _ = self.urgent.acquire() => false,
            }
        });
        drop(hand);
        if !common {
            return Room { up_to: Lane::Webhook, batches: 1 };
        }
        let free = self.common.available_permits().min(self.hands.available_permits());
        Room { up_to: Lane::Verify, batches: free.max(1) }
    }

    /// Returns when a batch of any lane has a place.
    pub(super) async fn any_lane(&self) {
        // The semaphore is never closed.
        drop(self.common.acquire().await);
    }

    /// A place among those in hand, until the batch is settled. More than there are is tolerated: one claim may
    /// hold many entity types.
    pub(super) fn hand(&self) -> Place {
        Place(Arc::clone(&self.hands).try_acquire_owned().ok())
    }

    /// A place at work, if one is free just now.
    pub(super) fn try_work(&self, lane: Lane) -> Option<Place> {
        let common = Arc::clone(&self.common).try_acquire_owned();
        let permit = common.or_else(|full| match lane {
            Lane::Operator | Lane::Outbound | Lane::Webhook => Arc::clone(&self.urgent).try_acquire_owned(),
            _ => Err(full),
        });
        permit.ok().map(|permit| Place(Some(permit)))
    }

    /// Waits for a place at work.
    pub(super) async fn work(&self, lane: Lane) -> Place {
        let common = Arc::clone(&self.common).acquire_owned();
        let permit = if lane <= Lane::Webhook {
            tokio::select! {
                biased;
                permit = common => permit,
                permit = Arc::clone(&self.urgent).acquire_owned() => permit,
            }
        } else {
            common.await
        };
        Place(permit.ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_place_is_kept_for_what_was_pushed() {
        let slots = Slots::new(2);
        let _bulk = slots.try_work(Lane::Full).expect("free");
        assert!(slots.try_work(Lane::Full).is_none());
        assert_eq!(slots.room().await.up_to, Lane::Webhook);
        let _pushed = slots.try_work(Lane::Webhook).expect("kept");
        assert!(slots.try_work(Lane::Webhook).is_none());
    }

    #[tokio::test]
    async fn a_single_place_takes_every_lane() {
        let slots = Slots::new(1);
        assert_eq!(slots.room().await.up_to, Lane::Verify);
        let place = slots.try_work(Lane::Verify).expect("free");
        assert!(slots.try_work(Lane::Webhook).is_none());
        drop(place);
        assert!(slots.try_work(Lane::Webhook).is_some());
    }

    #[tokio::test]
    async fn room_is_what_is_free_at_work_and_in_hand() {
        let slots = Slots::new(3);
        assert_eq!(slots.room().await.batches, 2);
        let hands: Vec<Place> = (0..11).map(|_| slots.hand()).collect();
        assert_eq!(slots.room().await.batches, 1);
        drop(hands);
        assert_eq!(slots.room().await.batches, 2);
    }
}
