//! What is known of the token, and when the next may be minted.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::{MintFault, Token, mint::Minted};
use crate::jitter::{chance, up_to};

/// Zoho creates this many tokens in [`WINDOW`]; then it blocks.
const MOST_MINTS: usize = 10;
/// See [`MOST_MINTS`]. Mints count from their end, which is no earlier than Zoho counts them.
const WINDOW: Duration = Duration::from_secs(600);
/// A token is renewed this long before its end, or a tenth of its life where that is less.
const AHEAD: Duration = Duration::from_secs(300);

/// A mint on its way.
pub(super) type Flight = Shared<BoxFuture<'static, Result<Arc<Token>, MintFault>>>;

/// What a caller does next.
pub(super) enum Next {
    /// Use this one.
    Use(Arc<Token>),
    /// Wait for the mint; the token at hand, if one still works, is for the case that it fails.
    Join(Flight, Option<Arc<Token>>),
}

#[derive(Default)]
pub(super) struct State {
    token: Option<Arc<Token>>,
    flight: Option<Flight>,
    mints: VecDeque<Instant>,
    block: Option<(MintFault, Instant)>,
    failures: u32,
    minted: u64,
}

impl State {
    /// Decides; `start` sends a mint on its way. The error says why none may start, and for how long.
    pub(super) fn next(
        &mut self,
        now: Instant,
        start: impl FnOnce() -> Flight,
    ) -> Result<Next, (MintFault, Duration)> {
        let token = self.token.clone().filter(|token| token.expires_at > now);
        if let Some(fresh) = token.clone().filter(|token| token.refresh_at > now) {
            return Ok(Next::Use(fresh));
        }
        if let Some(flight) = self.flight.clone().filter(|flight| flight.peek().is_none()) {
            return Ok(Next::Join(flight, token));
        }
        if let Some(refusal) = self.refusal(now) {
            return token.map(Next::Use).ok_or(refusal);
        }
        let flight = start();
        self.flight = Some(flight.clone());
        Ok(Next::Join(flight, token))
    }

    /// Takes the result of a mint.
    pub(super) fn finish(
        &mut self,
        minted: Result<Minted, MintFault>,
        now: Instant,
    ) -> Result<Arc<Token>, MintFault> {
        self.flight = None;
        self.mints.push_back(now);
        match minted {
            Ok(minted) => {
                self.failures = 0;
                self.block = None;
                self.minted += 1;
                let token = Arc::new(token(minted, self.minted, now));
                self.token = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(fault) => {
                self.failures = self.failures.saturating_add(1);
                let pause = match fault {
                    MintFault::Passing(_) => backoff(self.failures, chance()),
                    _ => fault.pause(),
                };
                self.block = Some((fault.clone(), now + pause));
                Err(fault)
            }
        }
    }

    /// Zoho did not accept the token of this number. Another one stays.
    pub(super) fn forget(&mut self, number: u64) {
        self.token = self.token.take().filter(|token| token.number != number);
    }

    /// What went wrong last, until a mint goes well; and how long no mint may start.
    pub(super) fn trouble(&mut self, now: Instant) -> Option<(MintFault, Duration)> {
        let spent = self.refusal(now).filter(|(fault, _)| matches!(fault, MintFault::TooMany(_)));
        let blocked = self.block.clone().map(|(fault, until)| (fault, until.saturating_duration_since(now)));
        blocked.or(spent)
    }

    fn refusal(&mut self, now: Instant) -> Option<(MintFault, Duration)> {
        while self.mints.front().is_some_and(|mint| now.duration_since(*mint) > WINDOW) {
            self.mints.pop_front();
        }
        if let Some((fault, until)) = self.block.clone().filter(|(_, until)| *until > now) {
            return Some((fault, until - now));
        }
        let oldest = self.mints.front().filter(|_| self.mints.len() >= MOST_MINTS)?;
        let fault =
            MintFault::TooMany(format!("{MOST_MINTS} access tokens were minted in 10 minutes, Zoho's limit"));
        Some((fault, (*oldest + WINDOW).saturating_duration_since(now) + Duration::from_millis(1)))
    }
}

fn token(minted: Minted, number: u64, now: Instant) -> Token {
    let ahead = AHEAD.min(minted.expires_in / 10);
    Token {
        number,
        value: minted.value,
        refresh_at: now + (minted.expires_in - ahead),
        expires_at: now + minted.expires_in,
        api_url: minted.api_url,
    }
}

/// Half a second, doubled with every failure, up to a minute; half of it by chance.
fn backoff(failures: u32, random: u64) -> Duration {
    let most = Duration::from_millis(500)
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(Duration::from_secs(60));
    most / 2 + up_to(most / 2, random)
}

#[cfg(test)]
mod tests;
