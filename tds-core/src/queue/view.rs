//! The views of the queue that operators see.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use crate::{
    closed_set::closed_set,
    inbox::InboxId,
    queue::{AttemptResult, Direction, ItemId, Outcome, Work},
    record::{EntityType, RecordId},
};

/// The result of [`QueueMaintenance::heal`](super::QueueMaintenance::heal).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// The number of waiters that were left behind when their item left the queue. Their events and runs were
    /// notified.
    pub waiters: u64,
    /// The number of runs whose count of open items did not match the number of their waiters. The count was
    /// corrected.
    pub runs: u64,
    /// Open events that wait for no item. Their work may never have been done: replay these events.
    pub events: Vec<InboxId>,
}

closed_set! {
    /// The status of a queue item.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ItemStatus {
        /// The item waits to be claimed.
        Pending = "pending",
        /// A worker holds the item.
        Processing = "processing",
        /// The item has ended without a failure; the outcome says how.
        Completed = "completed",
        /// The last attempt failed, and another attempt is scheduled.
        Failed = "failed",
        /// The item is a dead letter: only an operator can continue it.
        DeadLetter = "dead_letter",
    }
}

impl ItemStatus {
    /// The statuses of the items that an operator can retry.
    pub const RETRYABLE: [Self; 2] = [Self::Failed, Self::DeadLetter];
    /// The statuses of the items that an operator can discard.
    pub const DISCARDABLE: [Self; 3] = [Self::Pending, Self::Failed, Self::DeadLetter];
}

/// A selection of items. The default filter selects all items.
#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    /// Only items with these ids.
    pub ids: Option<Vec<ItemId>>,
    /// Only items with this status.
    pub status: Option<ItemStatus>,
    /// Only items of this entity type.
    pub entity: Option<EntityType>,
    /// Only items with this text in the record id or in the error. The text is taken literally; the case of letters is
    /// ignored.
    pub search: Option<String>,
    /// Only items that were enqueued at least this long ago.
    pub older_than: Option<Duration>,
}

/// One page of a list, newest first.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows of the page.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last page.
    pub next_cursor: Option<String>,
}

/// A queue item, as operators see it.
#[derive(Clone, Debug)]
pub struct ItemView {
    /// The id of the item.
    pub id: ItemId,
    /// The source event: the inbox event whose payload the item carries.
    pub inbox_event_id: Option<InboxId>,
    /// The entity type of the record.
    pub entity_type: EntityType,
    /// The local id of the record, if it is known.
    pub entity_id: Option<String>,
    /// The direction of the work.
    pub direction: Direction,
    /// The id of the record in the key of the work; see [`WorkKey::id`](super::WorkKey::id).
    pub record: RecordId,
    /// The priority; items with a lower number are claimed first. See [`Lane::priority`](super::Lane::priority).
    pub priority: i16,
    /// The status of the item.
    pub status: ItemStatus,
    /// The outcome, if the item has ended.
    pub outcome: Option<Outcome>,
    /// The number of attempts that failed.
    pub retry_count: u32,
    /// The text of the last error.
    pub error_message: Option<String>,
    /// When the item was enqueued.
    pub queued_at: OffsetDateTime,
    /// When the current or the last attempt began.
    pub processing_started_at: Option<OffsetDateTime>,
    /// When the item ended.
    pub processing_completed_at: Option<OffsetDateTime>,
    /// The time from which the item is due.
    pub run_at: Option<OffsetDateTime>,
    /// The payload that waits to be applied. Only [`QueueOperator::get`](super::QueueOperator::get) fills this field.
    pub payload: Option<serde_json::Value>,
    /// The work that waits. Only [`QueueOperator::get`](super::QueueOperator::get) fills this field.
    pub work: Option<Work>,
    /// Earlier attempts, oldest first. Only [`QueueOperator::get`](super::QueueOperator::get) fills this field.
    pub attempts: Option<Vec<AttemptView>>,
}

/// One attempt that has ended. [`Settle::attempt`](super::Settle::attempt) says which attempts are kept.
#[derive(Clone, Debug)]
pub struct AttemptView {
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// When the attempt began.
    pub started_at: Option<OffsetDateTime>,
    /// When the attempt ended.
    pub ended_at: OffsetDateTime,
    /// The worker that made the attempt.
    pub worker: Option<String>,
    /// The result of the attempt.
    pub result: AttemptResult,
    /// The error or the reason of the result.
    pub error: Option<String>,
}

/// Counts of items by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Items that wait to be claimed.
    pub pending: i64,
    /// Items that a worker holds.
    pub processing: i64,
    /// Items that have ended without a failure.
    pub completed: i64,
    /// Items that wait for another attempt.
    pub failed: i64,
    /// Dead letters.
    pub dead_letter: i64,
}

impl StatusCounts {
    /// Returns the number of live items: those that have neither ended nor become dead letters.
    #[must_use]
    pub fn live(&self) -> i64 {
        self.pending + self.processing + self.failed
    }

    /// Returns each count with its status.
    #[must_use]
    pub fn each(&self) -> [(ItemStatus, i64); 5] {
        let mut counts = *self;
        ItemStatus::ALL.map(|status| (status, *counts.of(status)))
    }

    /// Adds a number of items with this status.
    pub fn add(&mut self, status: ItemStatus, items: i64) {
        *self.of(status) += items;
    }

    fn of(&mut self, status: ItemStatus) -> &mut i64 {
        match status {
            ItemStatus::Pending => &mut self.pending,
            ItemStatus::Processing => &mut self.processing,
            ItemStatus::Completed => &mut self.completed,
            ItemStatus::Failed => &mut self.failed,
            ItemStatus::DeadLetter => &mut self.dead_letter,
        }
    }
}

/// Counts of items by entity type and status.
pub type EntityCounts = BTreeMap<EntityType, StatusCounts>;

/// Counts and delays of the queue.
#[derive(Clone, Debug, Default)]
pub struct QueueStats {
    /// The counts of all entity types together.
    pub queue: StatusCounts,
    /// The counts of each entity type that has items.
    pub by_entity: EntityCounts,
    /// The delays of all entity types together.
    pub overall: Delays,
    /// The work that waits for an operator.
    pub needs_attention: NeedsAttention,
    /// The items that are deferred.
    pub deferred: Deferred,
    /// The delays of each entity type that has items; for metrics.
    pub delays: BTreeMap<EntityType, Delays>,
}

/// Delays, in seconds. A delay is the time from when an item is enqueued to its completion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delays {
    /// The mean delay of the items that completed in the last 24 hours.
    pub avg: Option<f64>,
    /// The median delay of the same items.
    pub p50: Option<f64>,
    /// The 99th percentile of the delays of the same items.
    pub p99: Option<f64>,
    /// The age of the oldest waiting item, whether the item is due now or due later.
    pub oldest: Option<f64>,
}

/// Counts of work that continues only after an operator decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeedsAttention {
    /// Items that became dead letters.
    pub dead_letters: i64,
    /// Pushed bodies that could not be understood.
    pub unparsed_events: i64,
    /// Records that were missing from the newest full list of their entity type, and that are not confirmed as
    /// deleted.
    pub held_deletions: i64,
    /// Records that changed on both sides.
    pub conflicts: i64,
    /// Records that a comparison found to differ.
    pub drift: i64,
}

impl NeedsAttention {
    /// Returns each count with its name.
    #[must_use]
    pub fn each(&self) -> [(&'static str, i64); 5] {
        [
            ("dead_letters", self.dead_letters),
            ("unparsed_events", self.unparsed_events),
            ("held_deletions", self.held_deletions),
            ("conflicts", self.conflicts),
            ("drift", self.drift),
        ]
    }
}

/// Items that wait although a worker could be free, because they are due later or their entity type is paused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deferred {
    /// The number of deferred items.
    pub count: i64,
    /// When the last of them is due; `None` if that depends on an operator.
    pub until: Option<OffsetDateTime>,
    /// The reason why most of them wait, as a sentence.
    pub reason: Option<String>,
}

impl Deferred {
    /// Returns why items wait: their entity type is paused, or the text of their last attempt.
    #[must_use]
    pub fn reason_of(paused: Option<&EntityType>, error: Option<&str>) -> String {
        match (paused, error) {
            (Some(entity), _) => format!("{entity} is paused until it is resumed"),
            (None, Some(error)) if !error.is_empty() => error.to_owned(),
            _ => "the items are not due yet".to_owned(),
        }
    }
}

/// Whether the queue makes progress, as far as the queue itself shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueMotion {
    /// The item that has waited longest among the deferred items of lane `Webhook` and of more urgent lanes whose last
    /// attempt did not fail.
    pub held_up: Option<HeldUp>,
    /// How long the most overdue item has been due. Items of paused entity types are not counted.
    pub overdue: Option<Duration>,
    /// Whether a live worker holds items, or items completed within the last two minutes.
    pub is_worked_on: bool,
    /// The number of items that wait because their entity type is paused, by entity type.
    pub paused: BTreeMap<EntityType, i64>,
}

/// An item that is deferred for a reason outside the item itself.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldUp {
    /// How long the item has waited.
    pub age: Duration,
    /// The reason why the item waits.
    pub reason: String,
    /// When the item is due.
    pub until: OffsetDateTime,
}
