//! A budget of calls to a source, shared by all processes that call it.
//!
//! Sources limit how often they may be called: in any 60 seconds, over a day, and at the same time. These limits
//! apply to an *account*, however many processes use the account. Permits are therefore leased from one place, a
//! few at a time, and every call takes one permit. A pure function ([`BudgetState::exchange`]) makes all decisions;
//! a store only keeps the state.

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

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use self::call_log::LocalCallLog;
pub(crate) use self::call_log::merge;
pub use self::{
    breaker::{BreakerStatus, CallFault, OutageCause, Passage, Place},
    forecast::{Forecast, forecast},
    lanes::PerLane,
    permit_pool::{Denied, Pacer, Permit, PermitPool, StartedPermit},
    state::BudgetState,
    status::{
        BudgetStatus, CallCount, DayStatus, PastCalls, PastUsage, PauseStatus, Refusal, Throttle, Usage,
    },
};
use super::shared_state::{self, LocalState, SharedState};
use crate::{
    clock::Clock,
    closed_set::closed_set,
    error::Result,
    queue::{Lane, WorkerId},
};

closed_set! {
    /// A limit of the source.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum CallLimit {
        /// Calls in any 60 seconds.
        Minute = "minute",
        /// Calls a day.
        Day = "day",
        /// Calls in flight.
        Concurrency = "concurrency",
    }
}

/// The limits of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls that may arrive at the source in any 60 seconds. `None` means that another component, such as a
    /// [`Pacer`], keeps this limit.
    pub per_minute: Option<u32>,
    /// Calls that may be in flight at the same time.
    pub concurrent: u32,
    /// Calls a day that the account's plan includes. 80 % of them are for this program. `None` means that the
    /// number is not known.
    pub per_day: Option<u32>,
    /// The time after which a call is given up. The call cannot arrive later than that.
    pub call_time: Duration,
}

/// The budget of calls that all processes of a store share. Times are those of the store's clock. A process reports
/// past times as ages.
///
/// - Permits are leased, each for one call. A permit counts against the minute from the time at which it may be
///   used until 60 seconds after the call ended. No 60 seconds therefore see more arrivals at the source than
///   `per_minute`, however long a call takes to arrive.
/// - A permit that is never settled, because its holder died, counts until 60 seconds after the latest time at
///   which its call can have arrived. Then the permit no longer counts.
/// - A permit that was not used is given back and no longer counts.
/// - Settling or giving back a permit twice, or one that is not known, changes nothing.
/// - Urgent lanes (pushed events, operators' requests and local changes) have a reserve that the other lanes leave,
///   in the minute and over the day.
/// - The lanes that are not urgent are spread over the minute. Full syncs and verification are also spread over the
///   day.
/// - A holder keeps its slots for calls in flight until it gives them back, or until it has not reported for as
///   long as one of its calls may take. All holders together have no more than `concurrent` slots, and a new holder
///   finds one.
/// - A refusal of the source pauses all holders. The answers to calls that were sent before a pause began carry no
///   new information.
/// - Consecutive faults that no record causes open the breaker of their place for all holders. While the breaker is
///   open, only one probe at a time may be sent to the place, until one call is answered as expected.
/// - Where the source reports less left of the day's quota than what is left of the plan, the source's number
///   counts.
/// - An error means that nothing may be sent.
#[derive(Clone)]
pub struct CallBudget {
    shared: Arc<dyn SharedState>,
    log: Arc<dyn CallLog>,
}

impl CallBudget {
    /// Creates the budget of a store.
    #[must_use]
    pub fn new(shared: Arc<dyn SharedState>, log: Arc<dyn CallLog>) -> Self {
        Self { shared, log }
    }

    /// Creates the budget of a process that shares the budget with no other process.
    #[must_use]
    pub fn local(clock: &Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(LocalState::new(clock)), Arc::new(LocalCallLog::default()))
    }

    /// Reports what became of permits, and requests new ones.
    ///
    /// # Errors
    /// The shared state cannot be read or written. Nothing may be sent.
    pub async fn exchange(&self, account: &str, limits: &Limits, request: &BudgetRequest) -> Result<Grant> {
        let exchange = |state: &mut BudgetState, now| state.exchange(now, limits, request);
        shared_state::change(self.shared.as_ref(), &document_of(account), exchange).await
    }

    /// Returns the status of the account. This changes nothing.
    ///
    /// # Errors
    /// The shared state cannot be read.
    pub async fn status(&self, account: &str, limits: &Limits) -> Result<BudgetStatus> {
        let (state, now): (BudgetState, _) =
            shared_state::read(self.shared.as_ref(), &document_of(account)).await?;
        Ok(state.status(now, limits))
    }

    /// Adds calls to the statistics.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        self.log.count(account, calls).await
    }

    /// Returns the statistics of today (UTC).
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn usage(&self, account: &str) -> Result<Usage> {
        self.log.usage(account).await
    }

    /// Returns the statistics of the last complete days (UTC), at most this number.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn past_usage(&self, account: &str, days: u32) -> Result<PastUsage> {
        self.log.past_usage(account, days).await
    }
}

fn document_of(account: &str) -> String {
    format!("budget {account}")
}

/// Keeps the statistics of the calls that were made.
#[async_trait]
pub trait CallLog: Send + Sync {
    /// Adds calls to the statistics. Calls of a lane that only runs use (incremental, full, verify) also count in
    /// the newest run of that type and entity type. At most one such run is active, so the calls belong to that
    /// run. The exception are items that a cancelled run had left in the queue when the next run began.
    ///
    /// # Errors
    /// The store does not answer.
    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()>;

    /// Returns the statistics of today (UTC).
    ///
    /// # Errors
    /// The store does not answer.
    async fn usage(&self, account: &str) -> Result<Usage>;

    /// Returns the statistics of the last complete days (UTC), at most this number. The default implementation, for a
    /// log that keeps no past days, returns none.
    ///
    /// # Errors
    /// The store does not answer.
    async fn past_usage(&self, _account: &str, _days: u32) -> Result<PastUsage> {
        Ok(PastUsage::default())
    }
}

/// What a holder of permits reports and requests.
#[derive(Clone, Debug)]
pub struct BudgetRequest {
    /// The holder that sends the request.
    pub holder: WorkerId,
    /// The number of calls that wait for a permit, by lane.
    pub wants: PerLane<u32>,
    /// The number of permits that the holder has and has not used yet, by lane.
    pub at_hand: PerLane<u32>,
    /// The number of calls in flight now.
    pub in_flight: u32,
    /// The calls that have ended.
    pub settled: Vec<SettledCall>,
    /// The numbers of the permits that were not used.
    pub unused: Vec<u64>,
    /// The limit signals that the source sent, in the order in which the holder received them.
    pub signals: Vec<LimitSignal>,
    /// The place for which the holder asks whether a call may be made.
    pub pass: Option<Place>,
}

impl BudgetRequest {
    /// Creates a request that reports nothing and asks for nothing.
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
    /// The number of the call's permit.
    pub permit: u64,
    /// The lane whose budget the call spent in the end.
    pub lane: Lane,
    /// The time since the call ended.
    pub age: Duration,
}

/// A limit signal: what an answer of the source says about its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitSignal {
    /// The source refused a call.
    Refused {
        /// The limit that was exceeded.
        limit: CallLimit,
        /// The time since the refused call was sent.
        issued: Duration,
        /// The pause that the source asked for.
        retry_after: Option<Duration>,
        /// The time until the quota is reset.
        reset: Option<Duration>,
        /// A random number, which keeps processes from resuming at the same moment.
        chance: u64,
    },
    /// The source accepted a call.
    Admission {
        /// The time since the call was sent.
        issued: Duration,
    },
    /// The source reported what is left of the day's quota for all programs of the account.
    Quota {
        /// Calls that the period has.
        limit: u32,
        /// Calls that are left of the period.
        remaining: u32,
        /// The time until the quota is reset. `None` means that the quota is reset at the end of the day.
        reset: Option<Duration>,
        /// The time since the source reported these numbers.
        age: Duration,
    },
    /// A call failed for a reason that its record does not cause.
    Fault(CallFault),
    /// A call to a place where other calls failed was answered as expected.
    Worked {
        /// The place that was called.
        place: Place,
        /// The time since the call was sent.
        issued: Duration,
    },
}

impl LimitSignal {
    /// Returns the signal as if it had been received earlier by `by`.
    fn older(mut self, by: Duration) -> Self {
        let shorten = |wait: &mut Option<Duration>| *wait = wait.map(|wait| wait.saturating_sub(by));
        match &mut self {
            Self::Refused { issued, retry_after, reset, .. } => {
                *issued += by;
                shorten(retry_after);
                shorten(reset);
            }
            Self::Fault(fault) => {
                fault.issued += by;
                shorten(&mut fault.retry_after);
            }
            Self::Admission { issued } | Self::Worked { issued, .. } | Self::Quota { age: issued, .. } => {
                *issued += by;
            }
        }
        self
    }
}

/// The answer to a [`BudgetRequest`].
#[derive(Clone, Debug)]
pub struct Grant {
    /// Permits, in the order in which they may be used.
    pub permits: Vec<LeasedPermit>,
    /// How long a permit may be used after its start time. The validity is counted from before the request was
    /// sent.
    pub valid: Duration,
    /// The number of calls that the holder may have in flight now.
    pub slots: u32,
    /// The time after which a further request for what was not granted can succeed.
    pub ask_again: Duration,
    /// The status of the account now.
    pub status: BudgetStatus,
    /// Whether the call that the holder asked for may be made.
    pub passage: Passage,
}

/// The right to send one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedPermit {
    /// The number of the permit.
    pub number: u64,
    /// The lane for which the permit was requested.
    pub lane: Lane,
    /// The earliest time at which the permit may be used, counted from the arrival of the answer.
    pub after: Duration,
}

/// Returns the milliseconds of a time since 1970.
pub(crate) fn at(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// Returns the time of a number of milliseconds since 1970.
fn moment(millis: i64) -> OffsetDateTime {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    time.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Returns the milliseconds of a duration, limited to a century.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(3_155_760_000_000)
}

/// Returns the duration of a number of milliseconds. A negative number gives a duration of zero.
pub(crate) fn span(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
