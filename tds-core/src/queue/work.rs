//! Work on a record: its content, how new work is folded into it, and its waiters.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    closed_set::closed_set,
    inbox::InboxId,
    queue::Lane,
    record::{EntityType, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
    runs::RunId,
};

closed_set! {
    /// The direction of work.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Direction {
        /// The target follows the source.
        Inbound = "inbound",
        /// The source follows the target.
        Outbound = "outbound",
    }
}

/// The key of work: the direction and the record.
///
/// The key is the unit of ordering and of mutual exclusion. Inbound and outbound work of one record are two items.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkKey {
    /// The direction of the work.
    pub direction: Direction,
    /// The entity type of the record.
    pub entity: EntityType,
    /// The id of the record on the side that the other side follows: inbound work has the id at the source, outbound
    /// work the local id. A local record can therefore be pushed before the source has an id for it.
    pub id: RecordId,
}

impl WorkKey {
    /// Creates the key of the outbound work on a local record.
    #[must_use]
    pub fn outbound(entity: EntityType, local_id: impl Into<String>) -> Self {
        Self { direction: Direction::Outbound, entity, id: RecordId::new(local_id) }
    }
}

impl From<RecordKey> for WorkKey {
    /// Creates the key of the inbound work on a record.
    fn from(key: RecordKey) -> Self {
        Self { direction: Direction::Inbound, entity: key.entity, id: key.id }
    }
}

impl fmt::Display for WorkKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Inbound => write!(formatter, "{} {}", self.entity, self.id),
            Direction::Outbound => write!(formatter, "{} {} (outbound)", self.entity, self.id),
        }
    }
}

/// The work on a record: bring the target to the state that the payload shows or, without a payload, to the state that
/// the source returns when it is asked.
///
/// Outbound work has no payload and no version. It brings the source to the state that the target has when the work is
/// handled, so the newest local change wins, whatever the order in which the changes were enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The newest known version of the record.
    pub version: Option<OffsetDateTime>,
    /// A state of the record; `None` means that the source has to be asked.
    pub payload: Option<SourcePayload>,
    /// Whether to check the target against the source even if no newer version is known, as a full sync requests. The
    /// handler decides whether the payload is enough for the check.
    pub recheck: bool,
}

impl Work {
    /// Creates work with a pushed body that shows a state of the record.
    #[must_use]
    pub fn pushed(
        version: impl Into<Option<OffsetDateTime>>,
        arrived: OffsetDateTime,
        json: Payload,
    ) -> Self {
        let payload = SourcePayload { shape: Shape::Webhook, observed: Observed::Push(arrived), json };
        Self { version: version.into(), payload: Some(payload), recheck: false }
    }

    /// Creates work without a payload: the side that the other side follows has to be asked.
    #[must_use]
    pub fn fetch() -> Self {
        Self { version: None, payload: None, recheck: false }
    }

    /// Returns true if this result of a [`fold`] has the payload of the waiting work, because the incoming work
    /// showed nothing newer.
    #[must_use]
    pub fn keeps_payload_of(&self, waiting: &Self) -> bool {
        self.payload.is_some() && (self.version, &self.payload) == (waiting.version, &waiting.payload)
    }
}

/// Folds new work into waiting work of the same record. Every store must give the same result.
///
/// - The payload of the newer version stays. Its version is the version of the result.
/// - If the order of the two is not known, both payloads are dropped and the source is asked. This is the case
///   if a version or a payload is missing, if equal versions have different contents, or if a call that began after
///   the waiting read ended shows an older version. The fetch then shows at least what both payloads
///   showed.
/// - A pushed body of an older version, and an earlier read of an older version, do not change the payload.
/// - The target is checked against the source if either of the two requests it, whichever payload stays.
#[must_use]
pub fn fold(waiting: &Work, incoming: &Work) -> Work {
    let folded = |payload: Option<&SourcePayload>| Work {
        version: waiting.version.max(incoming.version),
        payload: payload.cloned(),
        recheck: waiting.recheck || incoming.recheck,
    };
    let (Some(old), Some(new)) = (&waiting.payload, &incoming.payload) else { return folded(None) };
    let (Some(old_version), Some(new_version)) = (waiting.version, incoming.version) else {
        return folded(None);
    };
    folded(match new_version.cmp(&old_version) {
        std::cmp::Ordering::Greater => Some(new),
        std::cmp::Ordering::Equal => (old.json == new.json && old.shape == new.shape).then_some(old),
        std::cmp::Ordering::Less => match new.observed {
            Observed::Call(seen) if seen.is_after(&old.observed.interval()) => None,
            _ => Some(old),
        },
    })
}

/// A waiter of an item. Events and runs are notified when the item ends. An item that has a waiter other than cancelled
/// runs stays in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Waiter {
    /// An inbox event.
    Event(InboxId),
    /// A sync run.
    Run(RunId),
    /// An operator, or the engine itself, which requested work without an event or retried a dead letter. All operators
    /// are one waiter. This waiter is not notified. It waits until the item ends or becomes a dead letter.
    Operator,
}

/// New work for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// The key of the work.
    pub key: WorkKey,
    /// The lane of the work.
    pub lane: Lane,
    /// The work to do.
    pub work: Work,
    /// The waiter for the work.
    pub waiter: Waiter,
}

impl NewItem {
    /// Creates new work that an operator waits for, and neither an event nor a run.
    #[must_use]
    pub fn new(key: impl Into<WorkKey>, lane: Lane, work: Work) -> Self {
        Self { key: key.into(), lane, work, waiter: Waiter::Operator }
    }
}
