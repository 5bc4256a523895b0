//! Work on a record: its content, how new work is folded into it, and the waiters for it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    inbox::InboxId,
    queue::Lane,
    record::{Observed, Payload, RecordKey, Shape, SourcePayload},
    runs::RunId,
};

/// The work on a record: bring the target to the state that the payload shows or, without a payload, to the state that
/// the source returns when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The newest version of the record that is known.
    pub version: Option<OffsetDateTime>,
    /// A state of the record; `None` means that the source has to be asked.
    pub payload: Option<SourcePayload>,
    /// A full sync asks that the target be checked against the source, although no newer version may be known. The
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

    /// Creates work without a payload: the source has to be asked.
    #[must_use]
    pub fn fetch() -> Self {
        Self { version: None, payload: None, recheck: false }
    }

    /// Returns true where this result of a [`fold`] has the payload of the waiting work, because the incoming work
    /// showed nothing newer.
    #[must_use]
    pub fn keeps_payload_of(&self, waiting: &Self) -> bool {
        self.payload.is_some() && (self.version, &self.payload) == (waiting.version, &waiting.payload)
    }
}

/// Folds new work into waiting work of the same record. Every store must give the same result.
///
/// - The payload of the newer version stays. Its version is the version of the result.
/// - Where the order of the two is not known, both payloads are dropped and the source is asked. This is the case
///   where a version or a payload is missing, where equal versions have different contents, and where a call that
///   began after the waiting read ended shows an older version. The fetch then shows at least what both payloads
///   showed.
/// - A pushed body of an older version, and an earlier read of an older version, do not change the payload.
/// - The target is checked against the source where one of the two asks for that, whichever payload stays.
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

/// A waiter: it is notified when an item ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Waiter {
    /// An inbox event.
    Event(InboxId),
    /// A sync run.
    Run(RunId),
    /// A person, or the engine itself. Such a waiter is not notified.
    Operator,
}

/// New work for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// The key of the record.
    pub key: RecordKey,
    /// The lane of the work.
    pub lane: Lane,
    /// The work to do.
    pub work: Work,
    /// The waiter for the work.
    pub waiter: Waiter,
}

impl NewItem {
    /// Creates new work that nothing waits for.
    #[must_use]
    pub fn new(key: RecordKey, lane: Lane, work: Work) -> Self {
        Self { key, lane, work, waiter: Waiter::Operator }
    }
}
