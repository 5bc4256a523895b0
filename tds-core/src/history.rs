//! The history of a record: everything that happened to it, as far as the store still knows.

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::{
    closed_set::closed_set,
    error::Result,
    guard::{SyncState, VerdictKind},
    inbox::InboxId,
    mirror::{MirrorSchema, Operation},
    queue::{ItemId, Outcome},
    record::{EntityType, Fields, Interval, Origin, RecordId, RecordKey},
    runs::RunId,
};

closed_set! {
    /// What happened to a record.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Happening {
        /// An event about the record was received.
        Received = "received",
        /// A delivery was received that was known already.
        Duplicate = "duplicate",
        /// The guard judged a read of the record.
        Judged = "judged",
        /// Work of the record waits in the queue, or is being processed.
        Waiting = "waiting",
        /// An attempt failed or was put off.
        Attempt = "attempt",
        /// An attempt failed for good.
        DeadLetter = "dead_letter",
        /// An operator retried an item.
        Retry = "retry",
        /// An operator discarded an item.
        Discard = "discard",
        /// An operator had an event processed again.
        Replay = "replay",
        /// An operator erased the record.
        Erase = "erase",
        /// An operator let the erased record return.
        AllowReturn = "allow_return",
    }
}

/// One entry in the history of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// When it happened, by the store's clock.
    pub at: OffsetDateTime,
    /// What happened.
    pub happening: Happening,
    /// How the state, or the request, reached the target.
    pub origin: Origin,
    /// The version that the read shows.
    pub version: Option<OffsetDateTime>,
    /// When the source was in the state that the read shows.
    pub observed: Option<Interval>,
    /// The decision of the guard.
    pub verdict: Option<VerdictKind>,
    /// What became of the read or of the event.
    pub outcome: Option<Outcome>,
    /// What was written to the target; `None` if nothing was.
    pub operation: Option<Operation>,
    /// The columns and child tables that changed. Empty for a record that is new or that became a tombstone.
    pub changed: Vec<String>,
    /// The inbox event.
    pub inbox_event: Option<InboxId>,
    /// The run that listed the record.
    pub run: Option<RunId>,
    /// The queue item.
    pub item: Option<ItemId>,
    /// An error or a reason.
    pub detail: Option<String>,
}

impl HistoryEntry {
    /// Creates an entry of which only the first three fields are known.
    #[must_use]
    pub fn new(at: OffsetDateTime, happening: Happening, origin: Origin) -> Self {
        Self {
            at,
            happening,
            origin,
            version: None,
            observed: None,
            verdict: None,
            outcome: None,
            operation: None,
            changed: Vec::new(),
            inbox_event: None,
            run: None,
            item: None,
            detail: None,
        }
    }
}

/// What the target knows of a record now.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownRecord {
    /// The key of the record.
    pub key: RecordKey,
    /// The id of the head row.
    pub local_id: Option<i64>,
    /// The accepted state; `None` if no read of the record was accepted yet.
    pub state: Option<SyncState>,
    /// When the record was first seen.
    pub first_seen_at: Option<OffsetDateTime>,
    /// When the record was found to be deleted.
    pub deleted_at: Option<OffsetDateTime>,
    /// The columns of the head row that have a simple value: no composite values and no empty ones.
    pub row: Option<Fields>,
}

/// The part of a history that is asked for: the newest entries before a time.
#[derive(Clone, Copy, Debug)]
pub struct HistoryWindow {
    /// The maximum number of entries.
    pub limit: usize,
    /// Only entries before this time; `None`: all entries.
    pub before: Option<OffsetDateTime>,
}

impl HistoryWindow {
    /// Creates a window with the newest entries of all.
    #[must_use]
    pub fn newest(limit: usize) -> Self {
        Self { limit, before: None }
    }
}

/// The history of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The record now.
    pub record: KnownRecord,
    /// The newest entries, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// Whether there are older entries.
    pub has_older: bool,
}

/// The histories of records, as operators see them. A store that only runs an engine does not need this trait.
///
/// # Contract
/// - Every decision of the guard on a read that was applied is in the history of its record, from the commit of the read
///   until the decision is as old as finished items are when they are pruned.
/// - So are the retries, discards and replays of operators, and the deliveries that were known already.
/// - The changed columns of an update are exactly those whose values differ, and the child tables whose rows differ.
///
/// # Errors
/// The method fails only if the store cannot be reached.
#[async_trait]
pub trait RecordHistory: Send + Sync {
    /// Returns the newest entries of the history of a record, oldest first. Events count if they name the record and were
    /// sent to the address of one of the entity types `addresses`. Returns `None` if nothing is known of the record.
    async fn history(
        &self,
        schema: &MirrorSchema,
        id: &RecordId,
        addresses: &[EntityType],
        window: &HistoryWindow,
    ) -> Result<Option<History>>;
}
