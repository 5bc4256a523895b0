//! The health of Zoho, derived from what the client observed. Nothing is sent for it.

use std::time::Duration;

use tds_core::{
    clock::readable,
    hint::Hint,
    limits::budget::{BreakerStatus, BudgetStatus, CallLimit, OutageCause, Refusal},
    lock::lock,
    queue::Lane,
};
use time::OffsetDateTime;

use crate::{
    auth::MintFault,
    client::{Pulse, ZohoClient},
    limits::budget::{ACCOUNT, spent},
};

/// The health of Zoho.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZohoHealth {
    /// Whether data can be read.
    pub state: ZohoState,
    /// The time at which Zoho last answered within its protocol.
    pub last_success_at: Option<OffsetDateTime>,
    /// The time until which calls for local changes or incremental syncs are held back, or until which no token may
    /// be minted.
    pub paused_until: Option<OffsetDateTime>,
}

/// Whether data can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZohoState {
    /// The last call succeeded.
    Ok,
    /// No call has been made yet.
    Unknown,
    /// A limit is exceeded.
    Throttled {
        /// The time at which calls continue.
        until: OffsetDateTime,
        /// Which limit is exceeded, and whether it is Zoho's or this program's.
        reason: String,
    },
    /// An operator must renew the credentials or give the account access.
    AuthPaused {
        /// What Zoho said.
        reason: String,
        /// What to do about it.
        what_to_do: String,
        /// The settings to check.
        hint: Option<Hint>,
    },
    /// The last call, or the last token refresh, failed.
    Unreachable {
        /// How the call or the refresh failed.
        reason: String,
    },
}

impl ZohoClient {
    /// Returns the health of Zoho, from what this process observed last and from what all processes share.
    pub async fn health(&self) -> ZohoHealth {
        // If the store does not answer, its own health entry reports that.
        self.health_with(&self.status().await.unwrap_or_default())
    }

    /// Returns the health of Zoho as [`ZohoClient::health`] does, from a status of the limits that the caller has.
    /// Nothing is sent, neither to Zoho nor to the store.
    #[must_use]
    pub fn health_with(&self, status: &BudgetStatus) -> ZohoHealth {
        let inner = &*self.inner;
        let trouble = inner.tokens.trouble();
        let limited = trouble.as_ref().filter(|(fault, _)| matches!(fault, MintFault::TooMany(_)));
        let token_wait = limited.map(|(_, wait)| *wait);
        let lanes = [Lane::Outbound, Lane::Incremental];
        let refused = lanes.into_iter().find_map(|lane| Some((lane, status.refused[lane]?)));
        let wait = refused.map(|(_, refusal)| refusal.wait).max(token_wait).filter(|wait| !wait.is_zero());
        let paused_until = wait.map(|wait| later(inner.clock.now(), wait));
        let seen = lock(&inner.pulse).clone();
        // A breaker that needs an operator comes first, and then the breaker that stops the most calls.
        let open = status.breakers.iter().filter(|breaker| breaker.is_open());
        let shut = open.min_by_key(|breaker| (breaker.cause == OutageCause::Connection, breaker.place.len()));
        let last_success_at = seen.last_success_at;
        let state = match (trouble, shut, paused_until, seen) {
            (Some((fault @ MintFault::Refused { .. }, _)), ..) => ZohoState::AuthPaused {
                reason: fault.reason(),
                what_to_do: fault.what_to_do().to_owned(),
                hint: fault.hint(),
            },
            (_, Some(shut), ..) if shut.cause == OutageCause::Account => ZohoState::AuthPaused {
                reason: describe(shut),
                what_to_do:
                    "only single probes are sent; waiting work continues by itself as soon as one succeeds"
                        .to_owned(),
                hint: Some(ACCOUNT),
            },
            (trouble, _, Some(until), _) => {
                ZohoState::Throttled { until, reason: throttled(refused, trouble.map(|(fault, _)| fault)) }
            }
            (_, Some(shut), ..) => ZohoState::Unreachable { reason: describe(shut) },
            (Some((fault @ MintFault::Passing(_), _)), ..) => {
                ZohoState::Unreachable { reason: fault.reason() }
            }
            (.., Pulse { failure: Some(reason), .. }) => ZohoState::Unreachable { reason },
            (.., Pulse { last_success_at: Some(_), .. }) => ZohoState::Ok,
            _ => ZohoState::Unknown,
        };
        ZohoHealth { state, last_success_at, paused_until }
    }
}

/// Describes a limit of calls, or the limit of tokens, as far as it is known.
fn throttled(refused: Option<(Lane, Refusal)>, trouble: Option<MintFault>) -> String {
    let calls = refused.map(|(lane, refusal)| match (refusal.limit, refusal.paused) {
        (CallLimit::Day, false) => spent(lane),
        (CallLimit::Day, true) => "Zoho says that the day's calls are spent",
        (CallLimit::Minute, _) => "Zoho asked for a pause: too many calls a minute",
        (CallLimit::Concurrency, _) => "Zoho asked for a pause: too many calls at once",
    });
    let tokens = trouble.filter(|fault| matches!(fault, MintFault::TooMany(_))).map(|fault| fault.reason());
    let causes: Vec<String> = tokens.into_iter().chain(calls.map(str::to_owned)).collect();
    causes.join("; ")
}

/// Describes an open breaker.
fn describe(shut: &BreakerStatus) -> String {
    let next = shut.next_probe_at.map(|at| format!(", next probe at {}", readable(at))).unwrap_or_default();
    format!("Zoho ({}) since {}{next}: {}", shut.place, readable(shut.since), shut.reason)
}

fn later(now: OffsetDateTime, wait: Duration) -> OffsetDateTime {
    time::Duration::try_from(wait).ok().and_then(|wait| now.checked_add(wait)).unwrap_or(now)
}
