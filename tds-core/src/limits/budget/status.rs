//! How an account stands, for people and for who waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{BreakerStatus, CallLimit, PerLane, Place};
use crate::{queue::Lane, record::EntityType};

/// How an account stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BudgetStatus {
    /// Calls that the window of 60 seconds has left; `None`: somebody else keeps it.
    pub minute_left: Option<u32>,
    /// Of these, kept for urgent lanes now.
    pub minute_reserve: u32,
    /// Calls that may be in flight at once now.
    pub concurrent: u32,
    /// The day.
    pub day: DayStatus,
    /// The pause that lasts now.
    pub pause: Option<PauseStatus>,
    /// Places where calls failed in a row, and those where nothing is sent but probes.
    pub breakers: Vec<BreakerStatus>,
    /// What forbids each lane to send, and for how long.
    pub refused: PerLane<Option<Refusal>>,
}

/// The day's budget.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayStatus {
    /// Calls of the plan, as configured or as the source says.
    pub limit: Option<u32>,
    /// The part of it that is for this program.
    pub allowance: Option<u32>,
    /// Spent today (UTC) by all processes of this program, by lane.
    pub spent: PerLane<u32>,
    /// Left today for this program.
    pub left: Option<u32>,
    /// Calls that pushed events, local changes and incremental syncs will still take today, if it goes on as it did so
    /// far; 0 in the first hour.
    pub expected: u32,
    /// Calls that are left for them and for what can wait, without the share of people.
    pub spare: Option<u32>,
    /// More is expected than there is: calls are saved. It ends when a fifth of what is left is not needed.
    pub frugal: bool,
    /// What the source itself says is left, for all programs.
    pub reported_left: Option<u32>,
    /// How long ago it said so.
    pub reported_age: Option<Duration>,
}

/// A pause of the whole account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseStatus {
    /// For which limit.
    pub limit: CallLimit,
    /// How long it still lasts.
    pub left: Duration,
    /// When it ends, on the store's clock.
    pub until: OffsetDateTime,
}

/// Why a lane may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which limit is met.
    pub limit: CallLimit,
    /// True where the source itself asked for a pause.
    pub paused: bool,
    /// For how long.
    pub wait: Duration,
}

/// How far the day's budget makes the program save calls. Nothing is dropped at any step: what cannot be read now
/// waits, without spending attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Throttle {
    /// Every lane may send.
    Normal,
    /// Verification and full syncs wait for their part of the day.
    BulkDeferred,
    /// The day will not suffice if it goes on like this: full syncs wait, incremental syncs of what matters less are
    /// put off, and reads for pushed events wait so that several become one.
    Frugal,
    /// Incremental syncs wait too: records change by pushed events only.
    ChangesDeferred,
    /// Pushed events are stored, and applied where they carry the whole record; nothing is read for them.
    JournalOnly,
    /// Not even a person's wish can be read.
    Spent,
}

impl Throttle {
    /// The name as it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::BulkDeferred => "bulk_deferred",
            Self::Frugal => "frugal",
            Self::ChangesDeferred => "changes_deferred",
            Self::JournalOnly => "journal_only",
            Self::Spent => "spent",
        }
    }
}

impl Throttle {
    /// Every step, in the order in which more is saved.
    pub const ALL: [Self; 6] = [
        Self::Normal,
        Self::BulkDeferred,
        Self::Frugal,
        Self::ChangesDeferred,
        Self::JournalOnly,
        Self::Spent,
    ];
}

impl BudgetStatus {
    /// The breaker that keeps calls from the place, the one that does so longest.
    #[must_use]
    pub fn shut(&self, place: &Place) -> Option<&BreakerStatus> {
        let is_known = self.breakers.iter().any(|breaker| breaker.place == place.endpoint);
        let open = self.breakers.iter().filter(|breaker| breaker.is_open() && breaker.concerns(place));
        open.filter(|breaker| breaker.place == place.endpoint || breaker.shuts(is_known))
            .max_by_key(|breaker| breaker.wait)
    }

    /// How long reads for pushed events may wait for company, in multiples of the shortest such wait: 0 while the
    /// day suffices, 1 where it falls short, 5 where half again of what is left is expected.
    #[must_use]
    pub fn patience(&self) -> u32 {
        let spare = u64::from(self.day.spare.unwrap_or(u32::MAX));
        match (self.day.frugal, u64::from(self.day.expected) * 2 > spare * 3) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 5,
        }
    }

    /// How far calls are saved.
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

/// Calls of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// Whose budget they spent.
    pub lane: Lane,
    /// Records of which type they were made for; `None`: of no one type.
    pub entity: Option<EntityType>,
    /// What was asked for, such as `/items`.
    pub endpoint: String,
    /// How they ended: `ok`, or what went wrong.
    pub result: String,
    /// How many.
    pub calls: u32,
}

/// Statistics of today.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls by kind.
    pub calls: Vec<CallCount>,
    /// Records that were written to the target.
    pub applied: u64,
}

impl Usage {
    /// Calls for each record that was written; `None` where none was.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a day stay far below 2^53")]
    pub fn calls_per_applied(&self) -> Option<f64> {
        let calls: u64 = self.calls.iter().map(|count| u64::from(count.calls)).sum();
        (self.applied > 0).then(|| calls as f64 / self.applied as f64)
    }
}
