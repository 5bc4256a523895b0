//! The budget of the organization. A call is sent with a started permit, and only the permit pool gives permits.

use std::{sync::Arc, time::Duration};

use tds_core::{
    clock::Clock,
    error::{Error, ErrorKind, Result, Retry},
    limits::budget::{
        BreakerStatus, BudgetStatus, CallBudget, CallCount, CallFault, Denied, LimitSignal, Limits,
        OutageCause, Passage, Permit, PermitPool, Place, Refusal, Usage,
    },
    queue::Lane,
};
use tokio::time::Instant;

use crate::{
    answer::Call,
    config::ZohoConfig,
    error::{Limit, throttled},
};

use super::{jitter::chance, pacer::Pacer};

/// The quota of the day, as Zoho states it in the headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Calls that the period has.
    pub(crate) limit: u32,
    /// Calls that are left of the period, for all programs of the organization.
    pub(crate) remaining: u32,
    /// The time until the quota is reset. `None` means that the quota is reset at the end of the day.
    pub(crate) reset: Option<Duration>,
}

/// What Zoho said about limits in the headers of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeaderHints {
    /// The header `Retry-After`, 1 second to 24 hours.
    pub(crate) retry_after: Option<Duration>,
    /// The quota of the day, where all three headers are plausible.
    pub(crate) quota: Option<Quota>,
    /// The time until the quota is reset, 1 second to 24 hours.
    pub(crate) reset: Option<Duration>,
}

/// The budget of one organization.
pub(crate) struct Budget {
    pool: PermitPool,
}

impl Budget {
    /// Creates a budget that all processes share.
    pub(crate) fn shared(config: &ZohoConfig, budget: CallBudget) -> Self {
        Self {
            pool: PermitPool::new(
                budget,
                account(config),
                limits(config, Some(config.requests_per_minute)),
                None,
            ),
        }
    }

    /// Creates a budget of this process alone. The crate governor keeps the limit of the minute.
    pub(crate) fn alone(config: &ZohoConfig, clock: &Arc<dyn Clock>) -> Self {
        let budget = CallBudget::local(clock);
        let pace = Box::new(Pacer::new(config.requests_per_minute, config.max_concurrency));
        Self { pool: PermitPool::new(budget, account(config), limits(config, None), Some(pace)) }
    }

    /// Waits for the right to send one call. Pauses of up to two seconds are waited for.
    ///
    /// # Errors
    /// `Throttled` during a longer pause, when the day's budget of the lane is spent, or while the budget does not
    /// answer.
    pub(crate) async fn acquire(&self, lane: Lane) -> Result<Permit> {
        self.pool.enter(lane).await.map_err(|denied| match denied {
            Denied::Refused(refusal) => refused(lane, &refusal),
            Denied::Unknown(error) => unknown(&error),
        })
    }

    /// Returns whether a call may be made at all, and true where it is a probe. While the place of the call is down
    /// for every process, only one probe at a time may be made.
    ///
    /// # Errors
    /// `Throttled` or `AuthPaused` until the next probe.
    pub(crate) async fn pass(&self, place: &Place) -> Result<bool> {
        match self.pool.pass(place).await {
            Ok(Passage::Free) => Ok(false),
            Ok(Passage::Probe) => Ok(true),
            Ok(Passage::Shut(shut)) => Err(shut_out(&shut)),
            Err(error) => Err(unknown(&error)),
        }
    }

    /// Records a fault that no record causes. Returns the breaker that is open for the fault's place now, if one
    /// is.
    pub(crate) async fn faulted(&self, fault: CallFault) -> Option<BreakerStatus> {
        self.pool.faulted(fault).await
    }

    /// Returns true where only probes are sent to the place, as far as this process knows.
    pub(crate) fn is_shut(&self, place: &Place) -> bool {
        self.pool.is_shut(place)
    }

    /// Records an answer that was no refusal.
    pub(crate) async fn went_well(&self, place: &Place, issued_at: Instant, hints: &HeaderHints) {
        self.correct(hints);
        self.pool.signal(LimitSignal::Admission { issued: issued_at.elapsed() });
        self.pool.worked(place, issued_at.elapsed()).await;
    }

    /// Records a refusal. Returns how long the lane pauses now.
    pub(crate) async fn refused(
        &self,
        limit: Limit,
        lane: Lane,
        issued_at: Instant,
        hints: &HeaderHints,
    ) -> Duration {
        self.correct(hints);
        let (retry_after, reset) = (hints.retry_after, hints.reset);
        let signal =
            LimitSignal::Refused { limit, issued: issued_at.elapsed(), retry_after, reset, chance: chance() };
        let pause = self.pool.refused(signal, lane).await.unwrap_or(Duration::from_secs(1));
        tracing::warn!(%limit, seconds = pause.as_secs(), "Zoho refused a call; all calls of the organization pause");
        pause
    }

    /// Records what Zoho says about the day's quota.
    pub(crate) fn quota(&self, quota: Quota) {
        let Quota { limit, remaining, reset } = quota;
        self.pool.signal(LimitSignal::Quota { limit, remaining, reset, age: Duration::ZERO });
    }

    /// Gives back what is no longer needed.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Adds a call to the statistics.
    pub(crate) fn count(&self, call: &Call, result: &str) {
        let (lane, endpoint) = (call.lane, call.endpoint());
        self.pool.count(CallCount {
            lane,
            entity: call.entity.clone(),
            endpoint,
            result: result.to_owned(),
            calls: 1,
        });
    }

    /// Returns the status of the budget.
    pub(crate) async fn status(&self) -> Result<BudgetStatus> {
        self.pool.status().await
    }

    /// Returns the last status that this process received. This does not ask the budget.
    pub(crate) fn last_status(&self) -> BudgetStatus {
        self.pool.last_status().unwrap_or_default()
    }

    /// Returns the calls of today.
    pub(crate) async fn usage(&self) -> Result<Usage> {
        self.pool.usage().await
    }

    fn correct(&self, hints: &HeaderHints) {
        if let Some(quota) = hints.quota {
            self.quota(quota);
        }
    }
}

fn account(config: &ZohoConfig) -> String {
    format!("zoho {}", config.organization_id)
}

fn limits(config: &ZohoConfig, per_minute: Option<u32>) -> Limits {
    Limits {
        per_minute,
        concurrent: u32::try_from(config.max_concurrency).unwrap_or(u32::MAX),
        per_day: config.daily_limit,
        call_time: config.request_timeout,
    }
}

fn refused(lane: Lane, refusal: &Refusal) -> Error {
    let words = match (refusal.limit, refusal.paused) {
        (Limit::Day, false) => spent(lane),
        _ => "Zoho asked for a pause",
    };
    throttled(refusal.limit, &words, refusal.wait)
}

/// Describes in words what is spent of the day. Most work has only a part of the day's calls, and that part grows
/// in the course of the day.
pub(crate) fn spent(lane: Lane) -> &'static str {
    match lane {
        Lane::Operator => "the day's calls are spent",
        Lane::Outbound | Lane::Webhook => "the day's calls are spent, except those that are kept for people",
        Lane::Incremental | Lane::Full | Lane::Verify => {
            "this kind of work has used its share of the day's calls so far; the other calls are kept for more \
             urgent work"
        }
    }
}

/// Returns the error of a place to which nothing is sent until its next probe.
fn shut_out(shut: &BreakerStatus) -> Error {
    let words = match shut.cause {
        OutageCause::Connection => "cannot be read now",
        OutageCause::Account => "refuses this account now",
    };
    let message = format!(
        "Zoho ({}) {words}; the next probe is in {} s: {}",
        shut.place,
        shut.wait.as_secs().max(1),
        shut.reason
    );
    waits(
        shut.cause,
        match shut.cause {
            OutageCause::Connection => ErrorKind::Unavailable,
            OutageCause::Account => ErrorKind::Unauthorized,
        },
        shut.wait,
        message,
    )
}

/// Returns the error of work that waits without spending an attempt.
pub(crate) fn waits(cause: OutageCause, kind: ErrorKind, wait: Duration, message: String) -> Error {
    // Work that returns a moment too early would only be refused once more.
    let retry_after = wait.max(Duration::from_millis(200));
    let retry = match cause {
        OutageCause::Connection => Retry::Throttled { retry_after },
        OutageCause::Account => Retry::AuthPaused { retry_after },
    };
    Error::new(kind, retry, message)
}

/// Returns the error of a call that was not made because the budget did not answer. This costs no attempt, whatever
/// the cause.
fn unknown(error: &Error) -> Error {
    let retry = Retry::Throttled { retry_after: Duration::from_secs(5) };
    Error::new(ErrorKind::Unavailable, retry, format!("no call is made without a permit: {}", error.chain()))
}
