//! Shapes of the answers, for the OpenAPI document only; a test compares them with what is really answered.
#![expect(dead_code, reason = "described, never built: the answers are made of the core's own types")]

mod choices;
mod responses;
mod runs;
mod views;

pub(crate) use self::{
    choices::{
        BudgetStep, EventName, InboxStatus, LaneName, PauseReason, QueueStatus, ReceiptStatus, SyncMode,
        SyncStatus,
    },
    responses::{
        Conflict, Encoding, Invalid, InvalidSignature, NotFound, ProblemDocument, TooLarge, Unauthorized,
        Unavailable, Unreadable, Upstream,
    },
    runs::{RunList, StartedRuns, SyncRun},
    views::{
        Affected, Credentials, EventDetail, EventPage, HealthReport, InboxStats, ItemPage, PauseState,
        PausedList, QueueItem, Replayed, Stats,
    },
};
