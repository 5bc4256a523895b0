//! Claims and how they end.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Lane, Work};
use crate::{
    queue::{ItemId, LeaseToken, WorkerId},
    record::{EntityType, RecordKey},
    runs::RunId,
};

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

/// Which of the due items a worker may take. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimScope {
    /// Only items that one of these runs waits for.
    pub runs: Option<Vec<RunId>>,
    /// Only items whose work carries a payload, so that the source need not be asked.
    pub carried: bool,
}

impl ClaimScope {
    /// True where every due item may be taken.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.runs.is_none() && !self.carried
    }
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
    /// Claims in a row, up to this one, that ended by their lease alone.
    pub lost_leases: u32,
    /// When the oldest waiting work of the item was queued.
    pub queued_at: OffsetDateTime,
}

impl Claimed {
    /// After so many claims in a row that ended by their lease, the processing of the item itself may be what ends the
    /// program: it is claimed and tried alone. One more, and it is given up.
    pub const SUSPECT_AFTER: u32 = 10;

    /// It has to be tried without anything else at work.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.lost_leases >= Self::SUSPECT_AFTER
    }

    /// It was tried alone, and the worker died again.
    #[must_use]
    pub fn ends_its_worker(&self) -> bool {
        self.lost_leases > Self::SUSPECT_AFTER
    }
}

/// A claim, as short as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The item.
    pub id: ItemId,
    /// Proof that it is ours.
    pub token: LeaseToken,
}

/// How an item or an event ended well, the most telling outcome first: an event with several items shows the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Written to the target.
    Applied,
    /// The record is gone at the source; the target carries a tombstone.
    Deleted,
    /// The target had it already.
    Unchanged,
    /// Older than what the target has.
    Stale,
    /// Newer work of the same record took its place.
    Superseded,
    /// Nothing here handles it.
    Ignored,
    /// A person gave it up.
    Discarded,
}

impl Outcome {
    /// Every outcome, in their order.
    pub const ALL: [Self; 7] = [
        Self::Applied,
        Self::Deleted,
        Self::Unchanged,
        Self::Stale,
        Self::Superseded,
        Self::Ignored,
        Self::Discarded,
    ];

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
    /// The record is of another entity type: its work, events and runs move there. To its own: the source is asked.
    Redirect {
        /// The right entity type.
        to: EntityType,
        /// What to do there.
        work: Work,
    },
}

/// What a settling call did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Settlements that took effect.
    pub accepted: u64,
    /// Of these, items that run once more because work arrived meanwhile.
    pub again: u64,
    /// Settlements whose claim was lost: without effect.
    pub fenced: u64,
    /// Claims that could not be settled yet, because somebody else has locked what has to be written. They are still held;
    /// settle them again.
    pub locked: Vec<LeaseToken>,
}
