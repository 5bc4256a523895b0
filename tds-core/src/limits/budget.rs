//! A budget of calls to a source, shared by all processes that call it.
//!
//! Sources bound how often they may be called: in any 60 seconds, over a day, and at once. The bounds hold for an
//! *account*, however many processes use it. So permits are leased from one place, a few at a time, and every call
//! takes one. What is decided is a pure function ([`BudgetState::exchange`]); a store only keeps its state.

mod breaker;
mod call_log;
mod day;
mod forecast;
mod lanes;
mod pause;
mod permit_pool;
mod slots;
mod state;
mod status;
mod window;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::call_log::LocalCallLog;
pub use self::{
    breaker::{BreakerStatus, CallFault, OutageCause, Passage, Place},
    forecast::{Forecast, forecast},
    lanes::PerLane,
    permit_pool::{Denied, Pacer, Permit, PermitPool, StartedPermit},
    state::BudgetState,
    status::{BudgetStatus, CallCount, DayStatus, PauseStatus, Refusal, Throttle, Usage},
};
pub(crate) use self::{call_log::merge, state::at};
use super::shared_state::{self, LocalState, SharedState};
use crate::{
    clock::Clock,
    error::Result,
    queue::{Lane, WorkerId},
};

/// Which bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallLimit {
    /// Calls in any 60 seconds.
    Minute,
    /// Calls a day.
    Day,
    /// Calls in flight.
    Concurrency,
}

impl fmt::Display for CallLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Concurrency => "concurrency",
        })
    }
}

/// The bounds of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls that may arrive at the source in any 60 seconds; `None`: somebody else keeps this bound.
    pub per_minute: Option<u32>,
    /// Calls in flight at once.
    pub concurrent: u32,
    /// Calls a day of the account's plan; 80 % of them are for this program. `None`: not known.
    pub per_day: Option<u32>,
    /// After this a call is given up: it arrives no later.
    pub call_time: Duration,
}

/// The budget of calls that all processes of a store share. Times are those of the store's clock; what a process says of
/// the past it gives as an age.
///
/// - Permits are leased, each for one call. A permit counts against the minute from the time it may be used until
///   60 seconds after the call ended, so that no 60 seconds see more arrivals at the source than `per_minute`,
///   however long a call takes to arrive.
/// - A permit that is never settled, because its holder died, counts until its call can have arrived no later and
///   60 seconds more; then its place is free again.
/// - A permit that was not used is given back and counts no more.
/// - Settling or giving back a permit twice, or one that is not known, changes nothing.
/// - Urgent lanes (pushed events and what people and local changes need) find room that the other lanes leave,
///   in the minute and over the day.
/// - The lanes that are not urgent are spread over the minute, and full syncs and verification over the day.
/// - A holder has places for calls in flight until it gives them back or is not heard of for as long as one of its
///   calls may take; all holders together have no more than `concurrent`, and one that is new finds one.
/// - A refusal of the source pauses all holders. Calls that were let go before a pause began say nothing new.
/// - Faults in a row that are no matter of a record open the breaker of their place for all holders: no call is let
///   pass there but one probe at a time, until one is answered as it should be.
/// - What the source says of the day's quota counts where it is less than what is left of the plan.
/// - An error means that nothing may be sent.
#[derive(Clone)]
pub struct CallBudget {
    shared: Arc<dyn SharedState>,
    log: Arc<dyn CallLog>,
}

impl CallBudget {
    /// The budget of a store.
    #[must_use]
    pub fn new(shared: Arc<dyn SharedState>, log: Arc<dyn CallLog>) -> Self {
        Self { shared, log }
    }

    /// The budget of a process that shares it with nobody.
    #[must_use]
    pub fn local(clock: &Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(LocalState::new(clock)), Arc::new(LocalCallLog::default()))
    }

    /// Says what became of permits, and asks for new ones.
    ///
    /// # Errors
    /// The shared state cannot be asked: nothing may be sent.
    pub async fn exchange(&self, account: &str, limits: &Limits, request: &BudgetRequest) -> Result<Grant> {
        let exchange = |state: &mut BudgetState, now| state.exchange(now, limits, request);
        shared_state::change(self.shared.as_ref(), &document_of(account), exchange).await
    }

    /// The status of the account. Changes nothing.
    ///
    /// # Errors
    /// The shared state cannot be asked.
    pub async fn status(&self, account: &str, limits: &Limits) -> Result<BudgetStatus> {
        let (state, now): (BudgetState, _) =
            shared_state::read(self.shared.as_ref(), &document_of(account)).await?;
        Ok(state.status(now, limits))
    }

    /// Adds to the statistics of calls.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        self.log.count(account, calls).await
    }

    /// The statistics of today (UTC).
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn usage(&self, account: &str) -> Result<Usage> {
        self.log.usage(account).await
    }
}

fn document_of(account: &str) -> String {
    format!("budget {account}")
}

/// Counts the calls that were made.
#[async_trait]
pub trait CallLog: Send + Sync {
    /// Adds to the statistics of calls. Calls of a lane that only runs spend (incremental, full, verify) count in the
    /// newest run of that kind and entity type too. At most one is active, so that the calls are its own, but for what a
    /// cancelled run had left in the queue when the next one began.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()>;

    /// The statistics of today (UTC).
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn usage(&self, account: &str) -> Result<Usage>;
}

/// What a holder of permits tells and asks.
#[derive(Clone, Debug)]
pub struct BudgetRequest {
    /// Who asks.
    pub holder: WorkerId,
    /// Calls that wait for a permit, by lane.
    pub wants: PerLane<u32>,
    /// Permits that it has and did not use yet, by lane.
    pub at_hand: PerLane<u32>,
    /// Calls in flight now.
    pub in_flight: u32,
    /// Permits whose call has ended.
    pub settled: Vec<SettledCall>,
    /// Permits that were not used.
    pub unused: Vec<u64>,
    /// What the source said of its limits, in the order in which it was heard.
    pub signals: Vec<LimitSignal>,
    /// Asks whether a call to this place may be made.
    pub pass: Option<Place>,
}

impl BudgetRequest {
    /// Tells nothing and asks for nothing.
    #[must_use]
    pub fn of(holder: WorkerId) -> Self {
        Self {
            holder,
            wants: PerLane::default(),
            at_hand: PerLane::default(),
            in_flight: 0,
            settled: Vec::new(),
            unused: Vec::new(),
            signals: Vec::new(),
            pass: None,
        }
    }
}

/// A call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledCall {
    /// Its permit.
    pub permit: u64,
    /// Whose budget it spent in the end.
    pub lane: Lane,
    /// How long ago it ended.
    pub age: Duration,
}

/// What the source said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitSignal {
    /// A call was refused.
    Refused {
        /// For which limit.
        limit: CallLimit,
        /// How long ago that call was let go.
        issued: Duration,
        /// The source's wish for the pause.
        retry_after: Option<Duration>,
        /// When the quota begins anew.
        reset: Option<Duration>,
        /// A number by chance, so that not all processes come back at once.
        chance: u64,
    },
    /// A call was let in.
    Admission {
        /// How long ago it was let go.
        issued: Duration,
    },
    /// What is left of the day's quota for all programs of the account.
    Quota {
        /// Calls that the period has.
        limit: u32,
        /// Calls that are left of it.
        remaining: u32,
        /// When it begins anew; `None`: with the day.
        reset: Option<Duration>,
        /// How long ago this was said.
        age: Duration,
    },
    /// A call failed by what is no matter of its record.
    Fault(CallFault),
    /// A call to a place where others failed was answered as it should be.
    Worked {
        /// Where it went.
        place: Place,
        /// How long ago it was let go.
        issued: Duration,
    },
}

impl LimitSignal {
    /// The same, heard that much longer ago.
    fn older(self, by: Duration) -> Self {
        match self {
            Self::Refused { limit, issued, retry_after, reset, chance } => {
                let (retry_after, reset) = (
                    retry_after.map(|wait| wait.saturating_sub(by)),
                    reset.map(|wait| wait.saturating_sub(by)),
                );
                Self::Refused { limit, issued: issued + by, retry_after, reset, chance }
            }
            Self::Admission { issued } => Self::Admission { issued: issued + by },
            Self::Quota { limit, remaining, reset, age } => {
                Self::Quota { limit, remaining, reset, age: age + by }
            }
            Self::Fault(fault) => {
                let retry_after = fault.retry_after.map(|wait| wait.saturating_sub(by));
                Self::Fault(CallFault { issued: fault.issued + by, retry_after, ..fault })
            }
            Self::Worked { place, issued } => Self::Worked { place, issued: issued + by },
        }
    }
}

/// What a holder got.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Permits, in the order in which they may be used.
    pub permits: Vec<LeasedPermit>,
    /// A permit may be used for this long after its time has come, counted from before the question was sent.
    pub valid: Duration,
    /// Calls that the holder may have in flight now.
    pub slots: u32,
    /// When it is worth asking again for what was not granted.
    pub ask_again: Duration,
    /// How the account stands now.
    pub status: BudgetStatus,
    /// Whether the call that was asked for may be made.
    pub passage: Passage,
}

/// The right to send one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedPermit {
    /// Its number.
    pub number: u64,
    /// For which lane it was asked.
    pub lane: Lane,
    /// It may be used no earlier than this after the answer came.
    pub after: Duration,
}

/// Milliseconds of a duration; absurdly long ones stand for a century.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(3_155_760_000_000)
}

/// A duration of milliseconds; negative ones are none.
pub(crate) fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
