#![doc = include_str!("../README.md")]

mod budget;
mod bulk;
mod clock;
mod entity;
mod error;
mod guard;
mod handler;
mod hash;
mod ids;
mod inbox;
mod mirror;
mod paging;
mod plan;
mod queue;
mod record;
mod registry;
mod renewal;
mod retry;
mod run;
mod schedule;
mod shutdown;
mod source;
mod worker;

#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use budget::{
    BreakerStatus, BudgetRequest, BudgetState, BudgetStatus, CallBudget, CallCount, CallFault, CallLimit,
    DayStatus, Denied, Forecast, Grant, LeasedPermit, LimitSignal, Limits, LocalBudget, OutageCause, Pacer,
    Passage, PauseStatus, PerLane, Permit, PermitPool, Place, Refusal, SettledCall, StartedPermit, Throttle,
    Usage, forecast,
};
pub use bulk::{Bulk, BulkSettings, RowPlan, deletion_limit, plan_row};
pub use clock::{Clock, SystemClock};
pub use entity::{EntityType, InvalidEntityType};
pub use error::{Error, ErrorKind, Result, Retry};
pub use guard::{
    RereadReason, Suspect, SyncState, Verdict, guard, guard_sets, is_suspicious_shrink, needs_detail,
    report_ahead, report_unusual,
};
pub use handler::{Done, EntityHandler, Handled, MirrorHandler};
pub use hash::{ColumnHashes, ContentHash, content_hash, event_id, list_hash, same_value};
pub use ids::{InboxId, ItemId, LeaseToken, RecordId, RecordKey, RunId, WorkerId};
pub use inbox::{
    Accepted, Disposition, EventFilter, EventStatus, EventView, Inbox, InboxOperator, InboxStats, LastDay,
    NewEvent, other_records,
};
pub use mirror::{Applied, Child, Mirror, MirrorSchema};
pub use paging::{Ability, Advance, Capability, ListCall, ListFacts, Order, Walk};
pub use plan::{DetailWay, ListingCost, ListingWay, RunPlan};
pub use queue::{
    AttemptView, ClaimRequest, ClaimScope, Claimed, Deferred, EntityCounts, EntityDelays, Healed, HeldUp,
    ItemFilter, ItemStatus, ItemView, Lane, Lease, NeedsAttention, NewItem, Outcome, Page, Queue,
    QueueMotion, QueueOperator, QueueStats, Settle, Settled, Settlement, StatusCounts, Waiter, Work, fold,
};
pub use record::{
    Content, Fields, Interval, ListedRow, Observed, Payload, Read, Record, Shape, SourcePayload,
};
pub use registry::Registry;
pub use renewal::{
    Claim, Cooldown, Credential, CredentialLeases, LocalCredentialLeases, Outcome as RenewalResult,
    RenewalRule, RenewalState,
};
pub use retry::{Decision, RetryPolicy};
pub use run::{Checkpoint, NewRun, PageCommit, Run, RunFilter, RunLease, RunStatus, RunType, SyncRun};
pub use schedule::{Postponed, Schedule, ScheduleSpec, Scheduler};
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use source::{ListPage, ListRequest, Listed, Profile, Source};
pub use worker::{Random, SAVING_CALLS, SourceGate, Worker, WorkerSettings};
