//! The state of the store.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;
use time::{Date, OffsetDateTime};

use super::{Row, findings::Verifications, outbound::OutboundState};
use crate::{
    guard::SyncState,
    history::HistoryEntry,
    inbox::{EventView, InboxId},
    limits::budget::CallCount,
    privacy::{Erasure, Persons},
    queue::{AttemptView, ItemId, ItemStatus, Lane, LeaseToken, Outcome, Waiter, Work, WorkKey, WorkerId},
    record::{EntityType, Fields, RecordId, RecordKey},
    runs::{Checkpoint, Run, RunId, RunType},
};

/// The whole state.
#[derive(Default)]
pub(super) struct State {
    pub(super) now: Now,
    last_id: i64,
    last_token: i64,
    /// Items of every status.
    pub(super) items: BTreeMap<ItemId, Item>,
    /// The live item of each record. A live item has neither ended nor become a dead letter.
    pub(super) live: HashMap<WorkKey, ItemId>,
    /// Live items in the order in which they are claimed.
    pub(super) due: BTreeSet<(i16, OffsetDateTime, ItemId)>,
    /// The dead letters of each record.
    pub(super) dead: HashMap<WorkKey, BTreeSet<ItemId>>,
    pub(super) events: BTreeMap<InboxId, Event>,
    /// Events by the identity of their delivery.
    pub(super) deliveries: HashMap<String, InboxId>,
    pub(super) paused: BTreeMap<EntityType, OffsetDateTime>,
    pub(super) runs: BTreeMap<RunId, RunState>,
    pub(super) cursors: HashMap<EntityType, OffsetDateTime>,
    pub(super) last_full_counts: HashMap<EntityType, i64>,
    pub(super) leader: Option<(WorkerId, OffsetDateTime)>,
    /// The time at which each schedule is due next.
    pub(super) schedules: HashMap<(EntityType, RunType), OffsetDateTime>,
    pub(super) records: HashMap<RecordKey, MirrorRecord>,
    /// The decisions on reads, and what operators did, oldest first.
    pub(super) decisions: HashMap<RecordKey, Vec<Decided>>,
    /// Child rows by table and owner.
    pub(super) children: HashMap<(String, RecordId), Vec<Fields>>,
    /// Records whose writes fail, for tests.
    pub(super) refused: HashSet<RecordKey>,
    /// Documents that all processes share, by name, with their versions.
    pub(super) documents: HashMap<String, (u64, String)>,
    pub(super) verifications: Verifications,
    /// The erasures in force.
    pub(super) erasures: HashMap<RecordKey, Erasure>,
    pub(super) persons: Persons,
    pub(super) outbound: OutboundState,
    /// Calls by account and day.
    pub(super) calls: HashMap<(String, Date), Vec<CallCount>>,
}

impl State {
    /// Returns a number that no other row has.
    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Returns a token that is greater than every earlier one.
    pub(super) fn next_token(&mut self) -> LeaseToken {
        self.last_token += 1;
        LeaseToken(self.last_token)
    }
}

/// The time of the present call. A call is one transaction, and everything in it happens at this time.
pub(super) struct Now(pub(super) OffsetDateTime);

impl Default for Now {
    fn default() -> Self {
        Self(OffsetDateTime::UNIX_EPOCH)
    }
}

/// A queue item.
pub(super) struct Item {
    pub(super) id: ItemId,
    pub(super) key: WorkKey,
    pub(super) lane: Lane,
    pub(super) work: Work,
    pub(super) status: ItemStatus,
    pub(super) outcome: Option<Outcome>,
    pub(super) retry_count: u32,
    /// The number of consecutive claims that ended because their lease expired.
    pub(super) lost_leases: u32,
    pub(super) error: Option<String>,
    pub(super) queued_at: OffsetDateTime,
    pub(super) run_at: OffsetDateTime,
    pub(super) started_at: Option<OffsetDateTime>,
    /// The time at which the item ended or became a dead letter.
    pub(super) ended_at: Option<OffsetDateTime>,
    /// The generation, which grows with every fold that brought changes.
    pub(super) generation: i64,
    pub(super) claim: Option<ItemClaim>,
    /// The event whose payload the item carries.
    pub(super) source_event: Option<InboxId>,
    /// The time of the first change that the current claim does not contain.
    pub(super) new_work_since: Option<OffsetDateTime>,
    /// True if more urgent work was folded in during the current claim, so that the claim's delay does not
    /// apply.
    pub(super) hurried: bool,
    pub(super) waiters: Vec<WaiterEntry>,
    pub(super) attempts: Vec<AttemptView>,
}

/// The claim of an item.
pub(super) struct ItemClaim {
    pub(super) token: LeaseToken,
    pub(super) worker: WorkerId,
    pub(super) expires_at: OffsetDateTime,
    /// The event whose payload was handed out with the claim.
    pub(super) source_event: Option<InboxId>,
    /// True if the claim is marked `processing`.
    pub(super) shown: bool,
}

/// A waiter of an item.
#[derive(Clone, Copy)]
pub(super) struct WaiterEntry {
    pub(super) waiter: Waiter,
    /// The generation that contains the waiter's changes.
    pub(super) generation: i64,
}

/// An inbox event.
pub(super) struct Event {
    /// The position among all deliveries. A delivery that was received again has its last position.
    pub(super) order: i64,
    /// See [`crate::inbox::other_records`].
    pub(super) records: Vec<RecordId>,
    /// The event as a list shows it, without headers and body.
    pub(super) row: EventView,
    pub(super) raw_payload: Vec<u8>,
    pub(super) headers: Value,
    /// The progress of each item of the event.
    pub(super) items: BTreeMap<ItemId, Progress>,
}

/// The progress of an item, as its waiters see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Open,
    Ended(Outcome),
    Dead(String),
}

/// A sync run.
pub(super) struct RunState {
    /// The run as operators see it, without the values that [`RunState::view`] computes.
    pub(super) row: Run,
    pub(super) lease: Option<(LeaseToken, OffsetDateTime)>,
    pub(super) checkpoint: Checkpoint,
    /// Every listed record.
    pub(super) listed: HashMap<RecordId, Reached>,
    /// The items that the run waits for.
    pub(super) open: HashSet<ItemId>,
    pub(super) held: Vec<RecordId>,
    /// The work that the cancellation of the run took out of the queue.
    pub(super) kept: Vec<(WorkKey, Lane, Work)>,
}

/// The progress of a listed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    Listed,
    Ended,
    Failed,
}

/// A decision on a read.
pub(super) struct Decided {
    pub(super) entry: HistoryEntry,
    /// A run listed the record.
    pub(super) by_run: bool,
}

/// What the mirror knows of a record.
pub(super) struct MirrorRecord {
    /// `None` for a row that something other than the sync inserted, and for a local record that got this id at the source
    /// and was not read since.
    pub(super) state: Option<SyncState>,
    pub(super) first_seen_at: OffsetDateTime,
    pub(super) row: Option<Row>,
}

impl MirrorRecord {
    /// Returns true if the record is known and not known to be deleted.
    pub(super) fn is_live(&self) -> bool {
        self.state.as_ref().is_some_and(|state| !state.deleted)
    }
}
