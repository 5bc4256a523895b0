//! The budget of the organization. A call is sent with a started permit, and only the permit pool gives permits.

use std::{sync::Arc, time::Duration};

use tds_core::{
    clock::Clock,
    error::{Error, ErrorKind, Result, Retry},
    hint::Hint,
    limits::budget::{
        self, BreakerStatus, CallBudget, CallCount, Denied, LimitSignal, Limits, OutageCause, Passage,
        Permit, PermitPool, Place, Refusal,
    },
    queue::Lane,
};
use tokio::time::Instant;

use crate::{
    answer::Call,
    config::ZohoConfig,
    error::{Limit, throttled},
    setting::Setting,
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
    /// The quota of the day, if all three headers are plausible.
    pub(crate) quota: Option<Quota>,
    /// The time until the quota is reset, 1 second to 24 hours.
    pub(crate) reset: Option<Duration>,
}

/// The budget of one organization.
pub(crate) struct Budget {
    /// The permits of this process.
    pub(crate) pool: PermitPool,
}

impl Budget {
    /// Creates a budget that all processes share.
    pub(crate) fn shared(config: &ZohoConfig, budget: CallBudget) -> Self {
        Self::new(config, budget, Some(config.requests_per_minute), None)
    }

    /// Creates a budget of this process alone. The crate governor keeps the limit of the minute.
    pub(crate) fn alone(config: &ZohoConfig, clock: &Arc<dyn Clock>) -> Self {
        let pace = Pacer::new(config.requests_per_minute, config.max_concurrency);
        Self::new(config, CallBudget::local(clock), None, Some(Box::new(pace)))
    }

    fn new(
        config: &ZohoConfig,
        budget: CallBudget,
        per_minute: Option<u32>,
        pace: Option<Box<dyn budget::Pacer>>,
    ) -> Self {
        let limits = Limits {
            per_minute,
            concurrent: u32::try_from(config.max_concurrency).unwrap_or(u32::MAX),
            per_day: config.daily_limit,
            call_time: config.request_timeout,
        };
        Self { pool: PermitPool::new(budget, format!("zoho {}", config.organization_id), limits, pace) }
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

    /// Returns whether a call may be made at all, and true if it is a probe. While the place of the call is down
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

    /// Records an answer that was no refusal.
    pub(crate) async fn went_well(&self, place: &Place, issued_at: Instant, hints: &HeaderHints) {
        self.quota(hints.quota);
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
        self.quota(hints.quota);
        let (retry_after, reset) = (hints.retry_after, hints.reset);
        let signal =
            LimitSignal::Refused { limit, issued: issued_at.elapsed(), retry_after, reset, chance: chance() };
        let pause = self.pool.refused(signal, lane).await.unwrap_or(Duration::from_secs(1));
        tracing::warn!(%limit, seconds = pause.as_secs(), "Zoho refused a call; all calls of the organization pause");
        pause
    }

    /// Records what Zoho says about the day's quota, if it says something.
    pub(crate) fn quota(&self, quota: Option<Quota>) {
        if let Some(Quota { limit, remaining, reset }) = quota {
            self.pool.signal(LimitSignal::Quota { limit, remaining, reset, age: Duration::ZERO });
        }
    }

    /// Adds a call to the statistics.
    pub(crate) fn count(&self, call: &Call, result: &str) {
        let (lane, entity, endpoint) = (call.lane, call.entity.clone(), call.endpoint());
        self.pool.count(CallCount { lane, entity, endpoint, result: result.to_owned(), calls: 1 });
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
        Lane::Outbound | Lane::Webhook => {
            "the day's calls are spent, except those that are reserved for operators"
        }
        Lane::Derived | Lane::Incremental | Lane::Full | Lane::Verify => {
            "this kind of work has used its share of the day's calls so far; the other calls are kept for more \
             urgent work"
        }
    }
}

/// Returns the error of a place to which nothing is sent until its next probe.
fn shut_out(shut: &BreakerStatus) -> Error {
    let (words, kind) = match shut.cause {
        OutageCause::Connection => ("cannot be read now", ErrorKind::Unavailable),
        OutageCause::Account => ("refuses this account now", ErrorKind::Unauthorized),
    };
    let BreakerStatus { place, reason, wait, .. } = shut;
    let seconds = wait.as_secs().max(1);
    let message = format!("Zoho ({place}) {words}; the next probe is in {seconds} s: {reason}");
    waits(shut.cause, kind, *wait, message)
}

/// The settings that an operator should check if Zoho refuses the account.
pub(crate) const ACCOUNT: Hint = Hint::Settings(&[
    Setting::OrganizationId.as_str(),
    Setting::DataCenter.as_str(),
    Setting::ApiUrl.as_str(),
    Setting::RefreshToken.as_str(),
]);

/// Returns the error of work that waits without spending an attempt.
pub(crate) fn waits(cause: OutageCause, kind: ErrorKind, wait: Duration, message: String) -> Error {
    // Work that returns a moment too early would only be refused once more.
    let retry_after = wait.max(Duration::from_millis(200));
    match cause {
        OutageCause::Connection => Error::new(kind, Retry::Throttled { retry_after }, message),
        OutageCause::Account => {
            Error::new(kind, Retry::AuthPaused { retry_after }, message).with_hint(ACCOUNT)
        }
    }
}

/// Returns the error of a call that was not made because the budget did not answer. This costs no attempt, whatever
/// the cause.
fn unknown(error: &Error) -> Error {
    let retry = Retry::Throttled { retry_after: Duration::from_secs(5) };
    Error::new(ErrorKind::Unavailable, retry, format!("no call is made without a permit: {}", error.chain()))
}
