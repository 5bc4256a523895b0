//! What is done with the items of an entity type.

mod mirror;
mod sibling;
mod waiting;

use std::time::Duration;

use async_trait::async_trait;

pub use self::mirror::MirrorHandler;
pub(crate) use self::mirror::comparable;
use crate::{
    error::Error,
    queue::{Claimed, Outcome, Work},
    record::EntityType,
};

/// How one item went.
pub type Handled = Result<Done, Error>;

/// How one item went well.
#[derive(Clone, Debug)]
pub enum Done {
    /// It is settled.
    Outcome(Outcome),
    /// It has to be looked at again, by asking the source. No attempt is spent.
    Again,
    /// It waits this long, so that calls to the source are saved. No attempt is spent.
    Later(Duration),
    /// It belongs to another entity type.
    Redirect(EntityType, Work),
}

/// Processes items of one entity type. Implement it to sync into tables or systems of your own.
///
/// Handling is at-least-once: a crash after the effect and before the settling makes the same work come
/// again, so effects must be idempotent.
#[async_trait]
pub trait EntityHandler: Send + Sync {
    /// Which entity type.
    fn entity(&self) -> &EntityType;

    /// How many items like this one it likes at once. Items of different answers come in batches of their own.
    fn batch_size(&self, _item: &Claimed) -> usize {
        100
    }

    /// Handles a batch; one result per item, in the same order. No two items are of one record.
    async fn handle(&self, batch: &[Claimed]) -> Vec<Handled>;
}
