//! What is to be done: lanes, work and its folding, and who waits for it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    inbox::InboxId,
    record::{Observed, RecordKey, SourcePayload},
    runs::RunId,
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
pub enum Waiter {
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
    pub waiter: Waiter,
}
