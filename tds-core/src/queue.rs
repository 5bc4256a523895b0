//! The durable queue: at most one live item per direction and record, with folding, leases, fencing tokens and dead
//! letters.

mod claim;
mod lane;
mod view;
mod work;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;

pub use self::{
    claim::{AttemptResult, ClaimRequest, ClaimScope, Claimed, Lease, Outcome, Settle, Settled, Settlement},
    lane::Lane,
    view::{
        AttemptView, Deferred, Delays, EntityCounts, Healed, HeldUp, ItemFilter, ItemStatus, ItemView,
        NeedsAttention, Page, QueueMotion, QueueStats, StatusCounts,
    },
    work::{Direction, NewItem, Waiter, Work, WorkKey, fold},
};
pub use crate::ids::{ItemId, LeaseToken, WorkerId};
use crate::{error::Result, record::EntityType};

/// The durable queue, as workers see it.
///
/// # Contract
/// Items:
/// - At most one live item exists for each [`WorkKey`]. New work for the key is folded into its live item by [`fold`].
///   Items that have ended and dead letters are not live, so they do not block new work of their key. In these
///   rules, a record stands for its work in one direction.
/// - New work resets the failed attempts of an item that waits for a retry, and makes the item due now. Work that
///   [`fold`] drops as older is not new work, unless it asks for a [recheck](Work::recheck) and the waiting work does
///   not.
/// - Work of a more urgent lane moves a waiting item to that lane and makes it due now, whatever delayed the item.
///   If the item is claimed at that moment, it is due immediately after the claim ends, whatever delay the claim
///   ends with.
///
/// Claims:
/// - One worker at a time holds the claim of an item. A claim ends when it is settled, or when another claim takes the
///   item after the lease ran out by the store's clock. Each claim gets a greater fencing token than all claims before
///   it.
/// - A claim returns items of more urgent lanes first and, within a lane, the items that have been due longest. A
///   claim returns no item of a paused entity type.
/// - A claim whose lease ran out costs no attempt. The store counts how many claims of the item in a row ended in this
///   way. Any settlement that takes effect resets the count to zero.
/// - An item that lost [`Claimed::SUSPECT_AFTER`] leases in a row is claimed alone, as soon as no other item is
///   due, or when the item has been due for a minute.
///
/// Settlements:
/// - A settlement whose fencing token is not the current token of the item changes nothing. The settlements of one
///   call are judged one by one.
/// - If new work was folded in during the claim, the item becomes pending and is due now, and its failed attempts
///   are reset, whatever the settlement says. The waiters of the new work keep waiting. A request to fetch the record
///   counts as new work even if another fetch is under way.
/// - An item that completes notifies its waiters. The event whose payload the item carried gets the outcome of the
///   item; the other events of the item get the outcome `superseded`. Older dead letters of the record are completed
///   with the outcome `superseded`.
/// - An item that becomes a dead letter notifies its waiters: its events become `failed`, and its runs count a failed
///   item.
///
/// # Errors
/// A method fails only if the store cannot be reached. It is then not known whether the call took effect, and the call
/// may be repeated: new work is folded, a claim without an answer ends with its lease, and a claim is settled once.
///
/// # Example
/// The [`Worker`](crate::engine::Worker) of an engine makes these calls:
///
/// ```
/// use std::time::Duration;
///
/// use tds_core::{
///     memory::MemoryStore,
///     prelude::*,
///     queue::{ClaimRequest, Settle, Settlement, WorkerId},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let store = MemoryStore::default();
/// let lamp = RecordKey::new(EntityType::from_static("products"), RecordId::new("1"));
///
/// // New work for one record becomes one item, in the more urgent lane.
/// for lane in [Lane::Full, Lane::Webhook] {
///     store.enqueue(vec![NewItem::new(lamp.clone(), lane, Work::fetch())]).await?;
/// }
/// let request = ClaimRequest::new(WorkerId::unique(), 10, Duration::from_secs(60));
/// let claimed = store.claim(&request).await?;
/// assert_eq!((claimed.len(), claimed[0].lane), (1, Lane::Webhook));
/// assert!(store.claim(&request).await?.is_empty(), "one worker at a time holds the item");
///
/// // Work that arrives during the claim makes the item pending again.
/// store.enqueue(vec![NewItem::new(lamp, Lane::Webhook, Work::fetch())]).await?;
/// let done = Settlement::new(&claimed[0], Settle::Complete(Outcome::Applied));
/// let settled = store.settle(vec![done.clone()]).await?;
/// assert_eq!((settled.accepted, settled.again), (1, 1));
///
/// // The fencing token of the next claim is greater, so the first claim can settle nothing.
/// let next = store.claim(&request).await?;
/// assert!(next[0].token > claimed[0].token);
/// assert_eq!(store.settle(vec![done]).await?.fenced, 1);
/// let done = Settlement::new(&next[0], Settle::Complete(Outcome::Unchanged));
/// assert_eq!(store.settle(vec![done]).await?.accepted, 1);
/// assert_eq!(store.stats().await?.queue.completed, 1);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds new items, or folds the work into the live items of the records. The work is durable when the method
    /// returns.
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()>;

    /// Claims due items of [`ClaimRequest::scope`], at most [`ClaimRequest::limit`].
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>>;

    /// Extends leases to `lease` from now, and returns the leases that are still held. A lease that is not returned
    /// was lost: the worker must stop its work on that item.
    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>>;

    /// Returns the leases that are still held. A lease is also lost if its item was removed from the queue.
    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>>;

    /// Marks claims as taking longer than a moment: inbox events that wait for their items become `processing`. A
    /// lease that is no longer held marks nothing.
    async fn mark_processing(&self, leases: &[Lease]) -> Result<()>;

    /// Ends claims. The effects are durable when the method returns, except for the claims in [`Settled::locked`].
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled>;

    /// Waits until new work may be in the queue, or until the timeout. Returning is only a hint: there may be no work,
    /// and the caller must also look for work after the timeout.
    async fn wait(&self, timeout: Duration);
}

/// The queue, as operators see it.
///
/// # Errors
/// Unless a method documents other errors, it fails only if the store cannot be reached.
#[async_trait]
pub trait QueueOperator: Send + Sync {
    /// Returns one page of items, newest first. `cursor` is the [`Page::next_cursor`] of the previous page.
    ///
    /// # Errors
    /// `Invalid`: the cursor was not returned with a page.
    async fn list(&self, filter: &ItemFilter, limit: usize, cursor: Option<&str>) -> Result<Page<ItemView>>;

    /// Returns one item with its payload and its attempts.
    async fn get(&self, id: ItemId) -> Result<Option<ItemView>>;

    /// Makes dead letters and items that wait for a retry due now, and resets their failed attempts. Returns
    /// the number of items. If newer work of a dead letter's record waits, the dead letter is folded into that
    /// work, as the work of its event. Of several dead letters of a record, the newest becomes live, and the others are
    /// folded into it. [`Waiter::Operator`] then waits for the live item.
    async fn retry(&self, filter: &ItemFilter) -> Result<u64>;

    /// Discards items for good: they become `completed` with the outcome `discarded`, and keep their error. Items that
    /// a worker holds are not changed. Returns the number of items.
    async fn discard(&self, filter: &ItemFilter) -> Result<u64>;

    /// Returns counts and delays of the queue.
    async fn stats(&self) -> Result<QueueStats>;

    /// Returns whether the queue makes progress. The cost of the call does not grow with the length of the queue.
    async fn motion(&self) -> Result<QueueMotion>;

    /// Pauses (`true`) or resumes (`false`) the processing of an entity type in every process.
    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()>;

    /// Returns the paused entity types, each with the time at which it was paused.
    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>>;
}

/// The maintenance of the queue and the inbox: deletes what is old, and repairs what a fault left behind.
///
/// # Errors
/// A method fails only if the store cannot be reached. What the method deleted or repaired before the error stays
/// deleted or repaired.
#[async_trait]
pub trait QueueMaintenance: Send + Sync {
    /// Returns how many items and inbox events [`QueueMaintenance::prune`] would delete for the same arguments.
    async fn prunable(&self, age: Duration, dead_letters: bool) -> Result<u64>;

    /// Deletes ended items and ended inbox events older than `age`, in small batches. Dead letters and failed events
    /// are deleted only if `dead_letters` is true. Returns the number of deleted items and events.
    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64>;

    /// Blanks the bodies of inbox events that ended longer than `age` ago and wait for no item, and the payloads that ended
    /// runs have kept. The events stay, with everything else that is known of them, and repeated deliveries are still
    /// recognized. Bodies that arrived in the last hours and name an erased record are blanked as well, whatever their age:
    /// no work may follow from them that would find the erasure. Returns the number of blanked bodies and payloads.
    async fn blank(&self, age: Duration) -> Result<u64>;

    /// Repairs waiters that have no item. Such waiters exist only after a fault: waiters whose item left the queue are
    /// notified, counts of open items are corrected, and open events without an item are returned. The call does not
    /// touch runs and events that are younger than `age`. If `within` is given, it does not return events that are
    /// older than `within`.
    async fn heal(&self, age: Duration, within: Option<Duration>) -> Result<Healed>;
}
