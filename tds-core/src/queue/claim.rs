//! Claims, leases, and the settlements that end them.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Lane, Work, WorkKey};
use crate::{
    closed_set::closed_set,
    inbox::InboxId,
    queue::{ItemId, LeaseToken, WorkerId},
    record::EntityType,
    runs::RunId,
};

/// A worker's request for items.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The worker that claims.
    pub worker: WorkerId,
    /// The maximum number of items to claim.
    pub limit: usize,
    /// How long the worker holds the items without a renewal.
    pub lease: Duration,
    /// The least urgent lane to claim from: only items of this lane and of more urgent lanes are claimed.
    pub up_to: Lane,
    /// The due items that may be claimed.
    pub scope: ClaimScope,
}

impl ClaimRequest {
    /// Creates a request for due items of every lane.
    #[must_use]
    pub fn new(worker: WorkerId, limit: usize, lease: Duration) -> Self {
        Self { worker, limit, lease, up_to: Lane::Verify, scope: ClaimScope::default() }
    }
}

/// A restriction on the due items that a claim may take. The default scope contains every due item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimScope {
    /// Only items that one of these runs waits for.
    pub runs: Option<Vec<RunId>>,
    /// Only items whose work carries a payload. A worker can handle such an item without asking the source.
    pub carried: bool,
}

impl ClaimScope {
    /// Returns true if the scope contains every due item.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.runs.is_none() && !self.carried
    }
}

/// A claimed item. The worker holds the item until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The id of the item.
    pub id: ItemId,
    /// The fencing token of the claim.
    pub token: LeaseToken,
    /// The generation of the item that was claimed. Each fold of new work increases the generation. Work that is
    /// folded in after the claim makes the item run once more.
    pub generation: i64,
    /// The key of the work.
    pub key: WorkKey,
    /// The lane of the item.
    pub lane: Lane,
    /// The work to do.
    pub work: Work,
    /// The source event: the inbox event whose work the item carries. An item without a payload has the newest event that
    /// requested the read.
    pub source_event: Option<InboxId>,
    /// The number of attempts that failed before this one.
    pub retry_count: u32,
    /// The number of claims in a row before this one that ended because their lease ran out.
    pub lost_leases: u32,
    /// The time at which the oldest waiting work of the item was enqueued.
    pub queued_at: OffsetDateTime,
}

impl Claimed {
    /// The number of lost leases in a row from which an item is suspect: processing the item may be what ends the
    /// program. A suspect item is claimed and tried alone. If that claim is lost as well, the item becomes a dead
    /// letter.
    pub const SUSPECT_AFTER: u32 = 10;

    /// Returns the lease of the claim.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease { id: self.id, token: self.token }
    }

    /// Returns true if the item has to be tried while the process works on nothing else.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.lost_leases >= Self::SUSPECT_AFTER
    }

    /// Returns true if the item was tried alone and its worker died again.
    #[must_use]
    pub fn ends_its_worker(&self) -> bool {
        self.lost_leases > Self::SUSPECT_AFTER
    }
}

/// `Lease`: the item's id and the fencing token of one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The id of the item.
    pub id: ItemId,
    /// The fencing token of the claim.
    pub token: LeaseToken,
}

closed_set! {
    /// The outcome of an item or event that ended without a failure.
    ///
    /// The order is from the most informative outcome to the least. An event with several items shows the most
    /// informative of their outcomes, which is the least in this order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Outcome {
        /// The record was written to the target.
        Applied = "applied",
        /// The record is gone at the source, and the target carries a tombstone.
        Deleted = "deleted",
        /// The target already had this state.
        Unchanged = "unchanged",
        /// The read was older than the state in the target.
        Stale = "stale",
        /// Newer work of the same record took its place.
        Superseded = "superseded",
        /// This installation has no handler for such work.
        Ignored = "ignored",
        /// An operator discarded the item.
        Discarded = "discarded",
    }
}

/// A settlement: the end of one claim.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The lease of the claim.
    pub lease: Lease,
    /// The generation of the item that was claimed.
    pub generation: i64,
    /// The result of the claim.
    pub settle: Settle,
}

impl Settlement {
    /// Creates the end of the claim of an item.
    #[must_use]
    pub fn new(item: &Claimed, settle: Settle) -> Self {
        Self { lease: item.lease(), generation: item.generation, settle }
    }
}

/// The result of a claim. Work that was folded in during the claim makes the item pending again, whatever the result
/// is.
#[derive(Clone, Debug)]
pub enum Settle {
    /// The item is done. It moves to the archive, and the events and runs that wait for it are notified.
    Complete(Outcome),
    /// An attempt failed. The item gets the status `failed` and is due again after the delay.
    Retry {
        /// The delay.
        after: Duration,
        /// The reason, in human-readable form.
        error: String,
    },
    /// The item is given back without spending an attempt. It gets the status `pending` and is due again after the
    /// delay.
    Release {
        /// The delay.
        after: Duration,
        /// Whether to drop the payload, so that the next attempt asks the source.
        fetch: bool,
        /// The reason, in human-readable form. `None` keeps the error text of the item.
        reason: Option<String>,
    },
    /// The item becomes a dead letter: it gets the status `dead_letter` and is kept for an operator.
    DeadLetter {
        /// The reason, in human-readable form.
        error: String,
    },
    /// The record belongs to another entity type: its work, its events and its runs move to the item of that type and
    /// of the same direction. If `to` is the entity type of the item itself, the item stays, its payload is dropped
    /// and it is due now.
    Redirect {
        /// The entity type that the record belongs to.
        to: EntityType,
        /// The work to do there.
        work: Work,
    },
}

impl Settle {
    /// Returns the attempt that is kept of a claim: its result, and the error or the reason. `failed_before` is the
    /// number of attempts that failed before this one.
    ///
    /// Nothing is kept of a success without an earlier failure, because the item shows the success itself, nor of an
    /// item that was given back without a reason.
    #[must_use]
    pub fn attempt(&self, failed_before: u32) -> Option<(AttemptResult, Option<Cow<'_, str>>)> {
        Some(match self {
            Self::Complete(_) if failed_before == 0 => return None,
            Self::Complete(_) => (AttemptResult::Completed, None),
            Self::Retry { error, .. } => (AttemptResult::Retry, Some(error.into())),
            Self::Release { reason, .. } => (AttemptResult::Released, Some(reason.as_deref()?.into())),
            Self::DeadLetter { error } => (AttemptResult::DeadLetter, Some(error.into())),
            Self::Redirect { to, .. } => (AttemptResult::Completed, Some(format!("moved to {to}").into())),
        })
    }
}

closed_set! {
    /// The result of an attempt.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum AttemptResult {
        /// The item was done, or its work moved to another entity type.
        Completed = "completed",
        /// The attempt failed, and another attempt was scheduled.
        Retry = "retry",
        /// The item was given back, and no attempt was spent.
        Released = "released",
        /// The item became a dead letter.
        DeadLetter = "dead_letter",
        /// The lease of the claim ran out.
        LeaseLost = "lease_lost",
    }
}

/// The result of [`Queue::settle`](super::Queue::settle).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The number of settlements that took effect.
    pub accepted: u64,
    /// The number of accepted settlements whose items run once more, because work was folded in during the claim.
    pub again: u64,
    /// The number of settlements that had no effect, because their claim was lost.
    pub fenced: u64,
    /// The claims that could not be settled yet, because another session has locked rows that the settlement writes.
    /// The worker still holds these claims and has to settle them again.
    pub locked: Vec<LeaseToken>,
}
