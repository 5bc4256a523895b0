//! The durable queue: at most one live item per record, folding, leases, fencing, dead letters.

mod claim;
mod view;
mod work;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;

pub use self::{
    claim::{ClaimRequest, ClaimScope, Claimed, Lease, Outcome, Settle, Settled, Settlement},
    view::{
        AttemptView, Deferred, EntityCounts, EntityDelays, Healed, HeldUp, ItemFilter, ItemStatus, ItemView,
        NeedsAttention, Page, QueueMotion, QueueStats, StatusCounts,
    },
    work::{Lane, NewItem, Waiter, Work, fold},
};
pub use crate::ids::{ItemId, LeaseToken, WorkerId};
use crate::{error::Result, record::EntityType};

/// The durable queue, from the workers' side.
///
/// - At most one live item per record exists; new work is folded into it by [`fold`].
/// - An item is claimed by one worker at a time. A claim ends by settling, or when its lease runs out by
///   the store's clock. A claim that ran out costs no attempt; how many ran out in a row is counted, and any settling
///   begins that count anew.
/// - An item that lost [`Claimed::SUSPECT_AFTER`] leases in a row is claimed alone: where nothing else is due, or where it
///   has been due for a minute.
/// - Work that is more urgent than the waiting item makes the item due now, whatever put it off. Where the item is in work,
///   it is due at once after that claim, whatever delay the claim ends with.
/// - Settling with a token that is not the item's current one changes nothing.
/// - Claims give more urgent lanes first, then what is due longest, and nothing of a paused entity type.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds or folds work. Durable when it returns.
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()>;

    /// Takes due items.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>>;

    /// Takes due items of the scope only; the same rules hold for them.
    async fn claim_scoped(&self, request: &ClaimRequest, scope: &ClaimScope) -> Result<Vec<Claimed>>;

    /// Extends leases; answers those that are still held. What is missing was lost: stop working on it.
    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>>;

    /// Which of these claims are still held. A claim is also lost where its item was taken out of the queue.
    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>>;

    /// Shows that claims are at work for longer than a moment: events that wait for them are `processing`. Claims that
    /// are not held any more show nothing.
    async fn mark_processing(&self, leases: &[Lease]) -> Result<()>;

    /// Ends claims.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled>;

    /// Returns when new work may be there, or after the timeout. A hint, never a promise.
    async fn wait(&self, timeout: Duration);
}

/// The queue, from the operators' side.
#[async_trait]
pub trait QueueOperator: Send + Sync {
    /// One page, newest first.
    async fn list(&self, filter: &ItemFilter, limit: usize, cursor: Option<&str>) -> Result<Page<ItemView>>;

    /// One item with its payload and its attempts.
    async fn get(&self, id: ItemId) -> Result<Option<ItemView>>;

    /// Makes dead letters and waiting retries due now, with their attempts counted anew. Answers how many.
    async fn retry(&self, filter: &ItemFilter) -> Result<u64>;

    /// Gives items up for good: `completed` with outcome `discarded`, the error kept. Items in work are left alone.
    async fn discard(&self, filter: &ItemFilter) -> Result<u64>;

    /// Counts and delays.
    async fn stats(&self) -> Result<QueueStats>;

    /// Whether the queue moves. It costs little, however long the queue is.
    async fn motion(&self) -> Result<QueueMotion>;

    /// Stops (`true`) or restarts the processing of an entity type in every process.
    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()>;

    /// Which entity types are paused, since when.
    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>>;

    /// How many items and inbox events [`QueueOperator::prune`] would delete.
    async fn prunable(&self, age: Duration, dead_letters: bool) -> Result<u64>;

    /// Deletes ended items (and inbox events that ended) older than `age`, in small batches; dead letters only where asked.
    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64>;

    /// Looks for those who wait for nothing, which never happens unless something is broken, and ends their waiting. Nothing
    /// younger than `age` is touched, and of events nothing older than `within`, where that is given.
    async fn heal(&self, age: Duration, within: Option<Duration>) -> Result<Healed>;
}
