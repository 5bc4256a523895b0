//! What this process knows about the token.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::{MintFault, Token, refreshes::RefreshCounts, renew::Renewed};

/// A refresh under way.
pub(super) type Flight = Shared<BoxFuture<'static, Result<Arc<Token>, MintFault>>>;

/// Calls that wait for a token come back within this time after the pause. If none does, no call waits.
const RETURN: Duration = Duration::from_secs(300);

/// What a caller does next.
pub(super) enum Next {
    /// The caller uses this token.
    Use(Arc<Token>),
    /// The caller waits for the refresh.
    Join(Flight),
}

#[derive(Default)]
pub(super) struct State {
    pub(super) token: Option<Arc<Token>>,
    /// The number of the last token that Zoho did not accept.
    rejected: Option<u64>,
    flight: Option<Flight>,
    block: Option<(MintFault, Instant)>,
    /// The refreshes that were requested from Zoho, by result.
    pub(super) requested: RefreshCounts,
    /// The API host that was last logged as one that is not used.
    named: Option<String>,
}

impl State {
    /// Decides what the caller does. `start` starts a refresh. The error says why no refresh may start, and for
    /// how long.
    pub(super) fn next(
        &mut self,
        now: Instant,
        start: impl FnOnce(Option<u64>) -> Flight,
    ) -> Result<Next, (MintFault, Duration)> {
        let token = self.token.clone().filter(|token| token.expires_at > now);
        if let Some(fresh) = token.clone().filter(|token| token.refresh_at > now) {
            return Ok(Next::Use(fresh));
        }
        // A token that is due for renewal still works, so no caller waits for its successor.
        let join = |flight| token.clone().map_or(Next::Join(flight), Next::Use);
        if let Some(flight) = self.flight.clone().filter(|flight| flight.peek().is_none()) {
            return Ok(join(flight));
        }
        if let Some((fault, until)) = self.block.clone().filter(|(_, until)| *until > now) {
            return token.map(Next::Use).ok_or((fault, until - now));
        }
        let flight = start(self.rejected);
        self.flight = Some(flight.clone());
        Ok(join(flight))
    }

    /// Records the result of a refresh.
    pub(super) fn finish(&mut self, renewed: Renewed, now: Instant) -> Result<Arc<Token>, MintFault> {
        self.flight = None;
        match renewed {
            Ok(token) => {
                self.block = None;
                let ignored = &token.domain.ignored;
                if let Some(host) = ignored.as_ref().filter(|_| self.named != *ignored) {
                    tracing::warn!(
                        host,
                        "the token answer names an API host that is not one of Zoho's known hosts, so it is not \
                         followed. If the host is right, set the URL of the API to it"
                    );
                }
                self.named.clone_from(ignored);
                self.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err((fault, pause)) => {
                let is_new = self.block.as_ref().is_none_or(|(before, _)| *before != fault);
                let (reason, what_to_do) = (fault.reason(), fault.what_to_do());
                if is_new && matches!(fault, MintFault::Refused { .. }) {
                    tracing::error!(reason, what_to_do, "Zoho refuses the credentials");
                } else if is_new {
                    tracing::warn!(reason, what_to_do, "no access token");
                }
                self.block = Some((fault.clone(), now + pause));
                Err(fault)
            }
        }
    }

    /// Removes the token of this number, because Zoho did not accept it. Another token remains.
    pub(super) fn forget(&mut self, number: u64) {
        if self.token.as_ref().is_some_and(|token| token.number == number) {
            self.token = None;
            self.rejected = Some(number);
        }
    }

    /// Returns true if no token works and calls wait for one: an attempt to get one is under way, or the last one failed
    /// a short time ago.
    pub(super) fn is_missing(&self, now: Instant) -> bool {
        let is_under_way = self.flight.as_ref().is_some_and(|flight| flight.peek().is_none());
        let waits = is_under_way || self.block.as_ref().is_some_and(|(_, until)| *until + RETURN > now);
        waits && self.token.as_ref().is_none_or(|token| token.expires_at <= now)
    }

    /// Returns true if a token works, or if nothing keeps one from being minted.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.token.as_ref().is_some_and(|token| token.expires_at > now)
            || self.block.as_ref().is_none_or(|(_, until)| *until <= now)
    }

    /// Returns the last fault, until a refresh succeeds, and the time for which no refresh may start.
    pub(super) fn trouble(&mut self, now: Instant) -> Option<(MintFault, Duration)> {
        self.block.clone().map(|(fault, until)| (fault, until.saturating_duration_since(now)))
    }
}

#[cfg(test)]
mod tests;
