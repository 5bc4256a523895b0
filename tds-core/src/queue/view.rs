//! The queue as operators see it.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use crate::{
    inbox::InboxId,
    queue::ItemId,
    record::{EntityType, RecordId},
};

/// What [`QueueOperator::heal`](super::QueueOperator::heal) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healed {
    /// Waiters whose item had left the queue without them; their events and runs were told.
    pub waiters: u64,
    /// Runs whose count of open items was not that of their waiters; it is now.
    pub runs: u64,
    /// Events that are open and wait for no item. Their work may never have been done: replay them.
    pub events: Vec<InboxId>,
}

/// Status of a queue item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemStatus {
    /// Waits.
    Pending,
    /// In a worker's hands.
    Processing,
    /// Done.
    Completed,
    /// The last attempt failed and another is scheduled.
    Failed,
    /// Given up; waits for a person.
    DeadLetter,
}

impl ItemStatus {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::DeadLetter];

    /// The name as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// Which items an operator means. Empty: all.
#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    /// Only these.
    pub ids: Option<Vec<ItemId>>,
    /// Only of this status.
    pub status: Option<ItemStatus>,
    /// Only of this entity type.
    pub entity: Option<EntityType>,
    /// Only with this text in the record id or the error, taken literally, without regard to case.
    pub search: Option<String>,
    /// Only queued at least this long ago.
    pub older_than: Option<Duration>,
}

/// One page of a list, newest first.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<String>,
}

/// A queue item as operators see it.
#[derive(Clone, Debug)]
pub struct ItemView {
    /// Its id.
    pub id: ItemId,
    /// The event whose payload it carries.
    pub inbox_event_id: Option<InboxId>,
    /// Kind of record.
    pub entity_type: EntityType,
    /// Local id, where known.
    pub entity_id: Option<String>,
    /// Id at the source.
    pub record: RecordId,
    /// Lower goes first.
    pub priority: i16,
    /// Where it stands.
    pub status: ItemStatus,
    /// How it ended.
    pub outcome: Option<String>,
    /// Attempts that failed.
    pub retry_count: u32,
    /// The last error.
    pub error_message: Option<String>,
    /// When it was queued.
    pub queued_at: OffsetDateTime,
    /// When the current or last attempt began.
    pub processing_started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub processing_completed_at: Option<OffsetDateTime>,
    /// Not before.
    pub run_at: Option<OffsetDateTime>,
    /// The payload that waits to be applied; only where one item is asked for.
    pub payload: Option<serde_json::Value>,
    /// Earlier attempts, oldest first; only where one item is asked for.
    pub attempts: Option<Vec<AttemptView>>,
}

/// One ended attempt.
#[derive(Clone, Debug)]
pub struct AttemptView {
    /// 1 for the first.
    pub attempt: u32,
    /// When it began.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: OffsetDateTime,
    /// Which worker.
    pub worker: Option<String>,
    /// `completed`, `retry`, `released`, `dead_letter`, `lease_lost`.
    pub result: String,
    /// Why.
    pub error: Option<String>,
}

/// Counts by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Waiting.
    pub pending: i64,
    /// In work.
    pub processing: i64,
    /// Done.
    pub completed: i64,
    /// Waiting for another attempt.
    pub failed: i64,
    /// Given up.
    pub dead_letter: i64,
}

/// Counts of one entity type.
pub type EntityCounts = BTreeMap<EntityType, StatusCounts>;

/// Counts and delays of the queue.
#[derive(Clone, Debug, Default)]
pub struct QueueStats {
    /// All entity types.
    pub queue: StatusCounts,
    /// Each entity type that has items.
    pub by_entity: EntityCounts,
    /// Mean of completion minus queueing, last 24 hours.
    pub sync_delay_avg_seconds: Option<f64>,
    /// Median of the same.
    pub sync_delay_p50_seconds: Option<f64>,
    /// 99th percentile of the same.
    pub sync_delay_p99_seconds: Option<f64>,
    /// Age of the oldest item that waits, whether it is due or was put off.
    pub oldest_pending_seconds: Option<f64>,
    /// What waits for a person.
    pub needs_attention: NeedsAttention,
    /// What was put off.
    pub deferred: Deferred,
    /// The delays of each entity type that has any; for metrics.
    pub delays: BTreeMap<EntityType, EntityDelays>,
}

/// Delays of one entity type, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EntityDelays {
    /// Mean of completion minus queueing, last 24 hours.
    pub avg: Option<f64>,
    /// Median of the same.
    pub p50: Option<f64>,
    /// 99th percentile of the same.
    pub p99: Option<f64>,
    /// Age of the oldest item that waits, whether it is due or was put off.
    pub oldest: Option<f64>,
}

/// What goes on only when a person decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeedsAttention {
    /// Items that were given up.
    pub dead_letters: i64,
    /// Pushed bodies that were not understood.
    pub unparsed_events: i64,
    /// Records that the newest full list of their entity type lacked, and that nobody confirmed as deleted.
    pub held_deletions: i64,
    /// Records that both sides changed.
    pub conflicts: i64,
    /// Records that a comparison found to differ.
    pub drift: i64,
}

impl NeedsAttention {
    /// Each count with its name.
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

/// Items that wait although a worker could be free: they are due later, or their entity type is paused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deferred {
    /// How many.
    pub count: i64,
    /// When the last of them is due; `None` where that depends on a person.
    pub until: Option<OffsetDateTime>,
    /// Why most of them wait, in words.
    pub reason: Option<String>,
}

impl Deferred {
    /// Why items wait: their entity type is paused, or what their last try told.
    #[must_use]
    pub fn reason_of(paused: Option<&EntityType>, error: Option<&str>) -> String {
        match (paused, error) {
            (Some(entity), _) => format!("{entity} is paused; resume it to go on"),
            (None, Some(error)) if !error.is_empty() => error.to_owned(),
            _ => "the time for which they were queued has not come".to_owned(),
        }
    }
}

/// Whether the queue moves, as far as the queue itself shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueMotion {
    /// Of the items of lane `Webhook` and of more urgent lanes that are put off without a failed attempt, the one
    /// that waits longest.
    pub held_up: Option<HeldUp>,
    /// For how long the item that is due longest has been due; paused entity types are left out.
    pub overdue: Option<Duration>,
    /// A live worker has items in hand, or ended some within two minutes.
    pub is_worked_on: bool,
    /// How many items wait because their entity type is paused, by entity type.
    pub paused: BTreeMap<EntityType, i64>,
}

/// An item that waits through no fault of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldUp {
    /// For how long it has waited.
    pub age: Duration,
    /// Why.
    pub reason: String,
    /// When it is due.
    pub until: OffsetDateTime,
}
