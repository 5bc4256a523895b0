//! The durable queue: at most one live item per record, folding, leases, fencing, dead letters.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    EntityType, InboxId, ItemId, LeaseToken, Observed, RecordKey, Result, RunId, SourcePayload, WorkerId,
};

/// Whose work it is. The lower number goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// A person waits for it.
    Operator,
    /// A local change on its way to the source.
    Outbound,
    /// A pushed event.
    Webhook,
    /// An incremental sync.
    Incremental,
    /// A full sync.
    Full,
    /// Verification and repair.
    Verify,
}

impl Lane {
    /// Every lane, most urgent first.
    pub const ALL: [Self; 6] =
        [Self::Operator, Self::Outbound, Self::Webhook, Self::Incremental, Self::Full, Self::Verify];

    /// The number in the column `priority`; lower goes first.
    #[must_use]
    pub fn priority(self) -> i16 {
        match self {
            Self::Operator => 0,
            Self::Outbound => 10,
            Self::Webhook => 20,
            Self::Incremental => 30,
            Self::Full => 40,
            Self::Verify => 50,
        }
    }

    /// The lane of a stored priority.
    #[must_use]
    pub fn from_priority(priority: i16) -> Self {
        Self::ALL.into_iter().rev().find(|lane| lane.priority() <= priority).unwrap_or(Self::Operator)
    }
}

/// What is to be done with a record: bring the target to what the payload shows, or, without a payload,
/// to what the source answers when asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The newest version known of.
    pub version: Option<OffsetDateTime>,
    /// A state of the record, or `None`: ask the source.
    pub payload: Option<SourcePayload>,
}

impl Work {
    /// Ask the source.
    #[must_use]
    pub fn fetch() -> Self {
        Self { version: None, payload: None }
    }
}

/// Merges new work into waiting work of the same record. Stores must give the same result.
///
/// The newer version wins. Where that cannot be told (no version, equal versions with other content, a
/// later call that shows an older version) the payloads are dropped and the source is asked: a fetch reads
/// whatever both wanted to tell. Older pushed bodies and earlier reads change nothing.
#[must_use]
pub fn fold(waiting: &Work, incoming: &Work) -> Work {
    let version = waiting.version.max(incoming.version);
    let (Some(old), Some(new)) = (&waiting.payload, &incoming.payload) else {
        return Work { version, payload: None };
    };
    let (Some(old_version), Some(new_version)) = (waiting.version, incoming.version) else {
        return Work { version, payload: None };
    };
    let payload = match new_version.cmp(&old_version) {
        std::cmp::Ordering::Greater => Some(new),
        std::cmp::Ordering::Equal => (old.json == new.json && old.shape == new.shape).then_some(old),
        std::cmp::Ordering::Less => match new.observed {
            Observed::Call(seen) if seen.is_after(&old.observed.interval()) => None,
            _ => Some(old),
        },
    };
    Work { version, payload: payload.cloned() }
}

/// Who waits for an item's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// An inbox event.
    Event(InboxId),
    /// A sync run.
    Run(RunId),
    /// A person, or the engine itself.
    Operator,
}

/// New work for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Which record.
    pub key: RecordKey,
    /// How urgent.
    pub lane: Lane,
    /// What to do.
    pub work: Work,
    /// Who waits.
    pub cause: Cause,
}

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Who asks.
    pub worker: WorkerId,
    /// How many items at most.
    pub limit: usize,
    /// How long they are ours without renewal.
    pub lease: Duration,
    /// Only lanes at least as urgent as this one.
    pub up_to: Lane,
}

/// An item in our hands until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The item.
    pub id: ItemId,
    /// Proof that it is ours.
    pub token: LeaseToken,
    /// The state of folding that we took; newer work arriving now makes it run once more.
    pub generation: i64,
    /// Which record.
    pub key: RecordKey,
    /// How urgent.
    pub lane: Lane,
    /// What to do.
    pub work: Work,
    /// Attempts that failed before this one.
    pub retry_count: u32,
    /// When the oldest waiting work of the item was queued.
    pub queued_at: OffsetDateTime,
}

/// A claim, as short as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The item.
    pub id: ItemId,
    /// Proof that it is ours.
    pub token: LeaseToken,
}

/// How an item or an event ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Written to the target.
    Applied,
    /// The target had it already.
    Unchanged,
    /// Older than what the target has.
    Stale,
    /// Newer work of the same record took its place.
    Superseded,
    /// The record is gone at the source; the target carries a tombstone.
    Deleted,
    /// Nothing here handles it.
    Ignored,
    /// A person gave it up.
    Discarded,
}

impl Outcome {
    /// The name as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
            Self::Ignored => "ignored",
            Self::Discarded => "discarded",
        }
    }
}

/// The end of one claim.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The claim.
    pub lease: Lease,
    /// The generation that was claimed.
    pub generation: i64,
    /// What becomes of the item.
    pub settle: Settle,
}

/// What becomes of a claimed item. Work that arrived meanwhile always makes it pending again.
#[derive(Clone, Debug)]
pub enum Settle {
    /// Done: to the archive, its events and runs told.
    Complete(Outcome),
    /// An attempt failed: status `failed`, again after the delay.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Why, for a person.
        error: String,
    },
    /// No attempt was spent: status `pending`, again after the delay.
    Release {
        /// How long to wait.
        after: Duration,
        /// Drop the payload: ask the source next time.
        fetch: bool,
        /// Why, for a person; `None` leaves the text of the item as it is.
        reason: Option<String>,
    },
    /// Given up: status `dead_letter`, kept for a person.
    DeadLetter {
        /// Why, for a person.
        error: String,
    },
    /// The record is of another entity type: its work, events and runs move there.
    Redirect {
        /// The right entity type.
        to: EntityType,
        /// What to do there.
        work: Work,
    },
}

/// What a settling call did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Settlements that took effect.
    pub accepted: u64,
    /// Of these, items that run once more because work arrived meanwhile.
    pub again: u64,
    /// Settlements whose claim was lost: without effect.
    pub fenced: u64,
}

/// The durable queue, from the workers' side.
///
/// - At most one live item per record exists; new work is folded into it by [`fold`].
/// - An item is claimed by one worker at a time. A claim ends by settling, or when its lease runs out by
///   the store's clock; a claim that ran out costs the item one attempt when it is claimed again.
/// - Settling with a token that is not the item's current one changes nothing.
/// - Claims give more urgent lanes first, then what is due longest, and nothing of a paused entity type.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds or folds work. Durable when it returns.
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()>;

    /// Takes due items.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>>;

    /// Extends leases; answers those that are still held. What is missing was lost: stop working on it.
    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>>;

    /// Ends claims.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled>;

    /// Returns when new work may be there, or after the timeout. A hint, never a promise.
    async fn wait(&self, timeout: Duration);
}

/// Status of a queue item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<String>,
}

/// A queue item as operators see it: the columns of `tds_sync_queue` and a few more.
#[derive(Clone, Debug, Serialize)]
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
    pub zoho_entity_id: String,
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
    #[serde(with = "time::serde::rfc3339")]
    pub queued_at: OffsetDateTime,
    /// When the current or last attempt began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub processing_started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub processing_completed_at: Option<OffsetDateTime>,
    /// Not before.
    #[serde(with = "time::serde::rfc3339::option")]
    pub run_at: Option<OffsetDateTime>,
    /// The payload that waits to be applied; only where one item is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// Earlier attempts, oldest first; only where one item is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptView>>,
}

/// One ended attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptView {
    /// 1 for the first.
    pub attempt: u32,
    /// When it began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: OffsetDateTime,
    /// Which worker.
    pub worker: Option<String>,
    /// `completed`, `retry`, `released`, `dead_letter`, `lease_lost`.
    pub result: String,
    /// Why.
    pub error: Option<String>,
}

/// Counts by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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

/// The figures of `GET /api/zoho/sync/stats`.
#[derive(Clone, Debug, Default, Serialize)]
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
    /// Age of the oldest item that is due.
    pub oldest_pending_seconds: Option<f64>,
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

    /// Stops (`true`) or restarts the processing of an entity type in every process.
    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()>;

    /// Which entity types are paused, since when.
    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>>;

    /// Deletes ended items (and inbox events that ended) older than `age`, in small batches; dead letters only where asked.
    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64>;
}
