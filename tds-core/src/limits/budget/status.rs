//! The status of an account, for operators and for waiting callers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{BreakerStatus, CallLimit, PerLane, Place, breaker::shut};
use crate::{closed_set::closed_set, queue::Lane, record::EntityType};

/// The status of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetStatus {
    /// Calls that the window of 60 seconds has left. `None` means that the budget does not keep this window.
    pub minute_left: Option<u32>,
    /// The part of the minute's ceiling that is reserved for urgent lanes now, in calls.
    pub minute_reserve: u32,
    /// Calls that may be in flight at the same time now.
    pub concurrent: u32,
    /// The status of the day.
    pub day: DayStatus,
    /// The current pause.
    pub pause: Option<PauseStatus>,
    /// The places where consecutive calls failed, including those whose breaker is open.
    pub breakers: Vec<BreakerStatus>,
    /// The limit that forbids each lane to send, and for how long.
    pub refused: PerLane<Option<Refusal>>,
}

/// The status of the day's budget.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayStatus {
    /// Calls of the plan, as configured or as the source reports.
    pub limit: Option<u32>,
    /// The part of the plan that is for this program.
    pub allowance: Option<u32>,
    /// Calls that all processes of this program have spent today (UTC), by lane.
    pub spent: PerLane<u32>,
    /// Calls that are left today for this program.
    pub left: Option<u32>,
    /// Calls that pushed events, local changes, derived values and incremental syncs will probably take today, at the
    /// rate of the day so far. The number is 0 in the first hour.
    pub expected: u32,
    /// Calls that are left for these lanes and for the lanes that can wait, without the share of operators'
    /// requests.
    pub spare: Option<u32>,
    /// True if more calls are expected than are left, so that calls are saved. This ends when a fifth of what is
    /// left is not needed.
    pub frugal: bool,
    /// Calls that are left for all programs, as the source itself reports.
    pub reported_left: Option<u32>,
    /// The time since the source reported that number.
    pub reported_age: Option<Duration>,
}

/// A pause of the whole account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseStatus {
    /// The limit that was exceeded.
    pub limit: CallLimit,
    /// The time that is left of the pause.
    pub left: Duration,
    /// The time at which the pause ends, by the store's clock.
    pub until: OffsetDateTime,
}

/// The reason why a lane may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The limit that is exceeded.
    pub limit: CallLimit,
    /// True if the account is paused because the source refused a call.
    pub paused: bool,
    /// The time for which the lane may not send.
    pub wait: Duration,
}

closed_set! {
    /// How far the program saves calls because of the day's budget. Nothing is dropped at any step: what cannot be read
    /// now waits, without spending attempts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Throttle {
        /// Every lane may send.
        Normal = "normal",
        /// Verification and full syncs wait for their part of the day.
        BulkDeferred = "bulk_deferred",
        /// The day's calls will not suffice at the present rate. Full syncs wait, incremental syncs of less important
        /// entity types are delayed, and reads for pushed events wait so that several become one. Reads of derived
        /// values wait longest.
        Frugal = "frugal",
        /// Incremental syncs also wait. Records change only through pushed events.
        ChangesDeferred = "changes_deferred",
        /// Pushed events are stored, and applied if they carry the whole record. Nothing is read for them.
        JournalOnly = "journal_only",
        /// Even operators' requests cannot be read.
        Spent = "spent",
    }
}

impl BudgetStatus {
    /// Returns the breaker that keeps calls from the place. If there are several, the one with the longest wait
    /// is returned.
    #[must_use]
    pub fn shut(&self, place: &Place) -> Option<&BreakerStatus> {
        shut(&self.breakers, place)
    }

    /// Returns how long reads for pushed events may wait to be combined, in multiples of the shortest such wait. The
    /// result is 0 while the day's calls suffice, and 1 if they do not. It is 5 if the expected calls are more
    /// than one and a half times the calls that are left.
    #[must_use]
    pub fn patience(&self) -> u32 {
        let spare = u64::from(self.day.spare.unwrap_or(u32::MAX));
        match (self.day.frugal, u64::from(self.day.expected) * 2 > spare * 3) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 5,
        }
    }

    /// Returns how far calls are saved.
    #[must_use]
    pub fn throttle(&self) -> Throttle {
        let spent = |lane: Lane| self.refused[lane].is_some_and(|refusal| refusal.limit == CallLimit::Day);
        match () {
            () if spent(Lane::Operator) => Throttle::Spent,
            () if spent(Lane::Webhook) => Throttle::JournalOnly,
            () if spent(Lane::Incremental) => Throttle::ChangesDeferred,
            () if self.day.frugal => Throttle::Frugal,
            () if spent(Lane::Full) || spent(Lane::Verify) => Throttle::BulkDeferred,
            () => Throttle::Normal,
        }
    }
}

/// The number of calls of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// The lane whose budget the calls spent.
    pub lane: Lane,
    /// The entity type of the records that the calls were made for. `None` means that the calls concern no single
    /// entity type.
    pub entity: Option<EntityType>,
    /// The endpoint that was called, such as `/items`.
    pub endpoint: String,
    /// The result of the calls: `ok`, or what went wrong.
    pub result: String,
    /// The number of calls.
    pub calls: u32,
}

/// The statistics of today.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls by kind.
    pub calls: Vec<CallCount>,
    /// The number of records that were written to the target.
    pub applied: u64,
}

/// The calls of the last complete days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastUsage {
    /// The number of days with calls.
    pub days: u32,
    /// The calls of these days by lane and entity type.
    pub calls: Vec<PastCalls>,
}

/// The calls of one lane and entity type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCalls {
    /// The lane whose budget the calls spent.
    pub lane: Lane,
    /// The entity type of the records; `None` if the calls concern no single entity type.
    pub entity: Option<EntityType>,
    /// The number of calls.
    pub calls: u64,
}

impl PastUsage {
    /// Returns the average number of calls a day of a lane and, if one is named, of an entity type. `None` means
    /// that there were no such calls.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of days stay far below 2^53")]
    pub fn a_day(&self, lane: Lane, entity: Option<&EntityType>) -> Option<f64> {
        let is_meant =
            |calls: &&PastCalls| calls.lane == lane && (entity.is_none() || calls.entity.as_ref() == entity);
        let calls: u64 = self.calls.iter().filter(is_meant).map(|calls| calls.calls).sum();
        (self.days > 0 && calls > 0).then(|| calls as f64 / f64::from(self.days))
    }
}

impl Usage {
    /// Returns the number of calls for each record that was written. `None` means that no record was written.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a day stay far below 2^53")]
    pub fn calls_per_applied(&self) -> Option<f64> {
        let calls: u64 = self.calls.iter().map(|count| u64::from(count.calls)).sum();
        (self.applied > 0).then(|| calls as f64 / self.applied as f64)
    }
}
