//! The handler of entity types that are known and not synced.

use async_trait::async_trait;

use super::{BatchHandler, Handled};
use crate::{
    error::Result,
    queue::{Claimed, Outcome},
    record::EntityType,
};

/// A handler that ends every item as ignored, without a call and without a write. It handles an entity type that is
/// known and not synced: items that were enqueued while the entity type was synced, and records that turn out to
/// belong to it.
pub struct IgnoringHandler(pub EntityType);

#[async_trait]
impl BatchHandler for IgnoringHandler {
    fn entity(&self) -> &EntityType {
        &self.0
    }

    async fn handle_batch(&self, items: &[Claimed]) -> Vec<Result<Handled>> {
        items.iter().map(|_| Ok(Handled::Done(Outcome::Ignored))).collect()
    }
}
