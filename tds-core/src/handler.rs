//! What is done with the items of an entity type.

mod mirror;
mod sibling;
mod waiting;

use std::time::Duration;

use async_trait::async_trait;

pub(crate) use self::mirror::comparable;
pub use self::{mirror::MirrorHandler, waiting::SAVING_CALLS};
use crate::{
    error::Result,
    queue::{Claimed, Outcome, Work},
    record::EntityType,
};

/// What became of an item that was handled without an error.
#[derive(Clone, Debug)]
pub enum Handled {
    /// The item is done.
    Done(Outcome),
    /// The item is handled again in a moment, and its record is read from the source then, whatever payload the item
    /// has now. This spends no attempt.
    Reread,
    /// The item is handled again after a while, as it is. This spends no attempt.
    Retry {
        /// How long the item waits.
        after: Duration,
        /// Why the item waits: operators see the sentence beside the item.
        reason: String,
    },
    /// The record belongs to another entity type: the item ends, and this work goes on there.
    Reroute {
        /// The entity type that the record belongs to.
        entity: EntityType,
        /// What is to be done there.
        work: Work,
    },
}

/// Handles the items of one entity type, one at a time. Implement this trait to sync into tables or systems of your own.
///
/// # Contract
/// Handling is at-least-once: where the process ends after the effect and before the item is settled, the same work
/// comes again. Effects must be idempotent.
///
/// # Errors
/// [`crate::error::Error::retry`] decides what becomes of the item: it is tried again later, or it becomes a dead letter. A panic
/// counts as an internal error of the item.
#[async_trait]
pub trait EntityHandler: Send + Sync {
    /// The entity type.
    fn entity(&self) -> &EntityType;

    /// Handles one item.
    async fn handle(&self, item: &Claimed) -> Result<Handled>;
}

/// Handles the items of one entity type, several at a time, for effects that are cheaper in batches. Every
/// [`EntityHandler`] is a batch handler whose batches have one item.
#[async_trait]
pub trait BatchHandler: Send + Sync {
    /// The entity type.
    fn entity(&self) -> &EntityType;

    /// How many items like this one are best handled at once. Items with different answers come in batches of their own.
    fn batch_size(&self, _item: &Claimed) -> usize {
        100
    }

    /// Handles a batch. No two items are of one record. Gives one result for each item, in the same order.
    async fn handle_batch(&self, items: &[Claimed]) -> Vec<Result<Handled>>;
}

#[async_trait]
impl<H: EntityHandler> BatchHandler for H {
    fn entity(&self) -> &EntityType {
        EntityHandler::entity(self)
    }

    fn batch_size(&self, _item: &Claimed) -> usize {
        1
    }

    async fn handle_batch(&self, items: &[Claimed]) -> Vec<Result<Handled>> {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            results.push(self.handle(item).await);
        }
        results
    }
}
