//! The state of renewals that a store keeps. Every decision about renewals is a pure function of this state.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Claim, Cooldown, Credential, RenewalResult, RenewalRule};
use crate::{
    limits::budget::{at, millis, span},
    retry::doubled,
};

/// A renewal counts longer by this margin, in milliseconds, because the source may start its own count a little
/// after the answer arrived here.
const MARGIN: i64 = 2_000;
/// The interval, in milliseconds, at which a process asks again while another process renews.
const LOOK_AGAIN: i64 = 100;

/// The maximum time for which a failure blocks renewals, in milliseconds.
const LONGEST_BLOCK: i64 = 3_600_000;
/// The maximum lifetime of a credential, in milliseconds.
const LONGEST_LIFE: i64 = 86_400_000;

/// The renewal state of one name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RenewalState {
    /// The number of the last ticket. A credential has the number of the ticket with which it was renewed.
    last: u64,
    credential: Option<Stored>,
    /// The renewal under way: its ticket, and the time at which its lease ends.
    current: Option<(u64, i64)>,
    /// The tickets that count against the rule, each with the time until which its renewal counts.
    counted: Vec<(u64, i64)>,
    block: Option<Blocked>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    number: u64,
    sealed: String,
    renew_at: i64,
    expires_at: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Blocked {
    kind: String,
    reason: String,
    until: i64,
    /// The number of consecutive failures of this kind before the last one.
    #[serde(default)]
    before: u32,
}

impl RenewalState {
    /// See [`super::CredentialLeases::claim`].
    pub fn claim(
        &mut self,
        now: OffsetDateTime,
        rule: &RenewalRule,
        shares: bool,
        rejected: Option<u64>,
    ) -> Claim {
        let now = at(now);
        self.credential.take_if(|stored| Some(stored.number) == rejected || stored.expires_at <= now);
        self.come_back(now, rule);
        self.current = self.current.filter(|(_, until)| *until > now);
        self.counted.retain(|(_, until)| *until > now);
        if let Some(stored) = self.credential.as_ref().filter(|stored| shares && stored.renew_at > now) {
            return Claim::Ready(Credential {
                number: stored.number,
                sealed: stored.sealed.clone(),
                renew_in: span(stored.renew_at - now),
                expires_in: span(stored.expires_at - now),
            });
        }
        if self.current.is_some() {
            return Claim::Another(span(LOOK_AGAIN));
        }
        if let Some(block) = self.block.as_ref().filter(|block| block.until > now) {
            return Claim::Blocked(Cooldown {
                kind: block.kind.clone(),
                reason: block.reason.clone(),
                wait: span(block.until - now),
            });
        }
        let most = usize::try_from(rule.most).unwrap_or(usize::MAX);
        if self.counted.len() >= most {
            let first = self.counted.iter().map(|(_, until)| *until).min().unwrap_or(now);
            return Claim::TooOften(span(first - now));
        }
        self.last += 1;
        let ends = now + millis(rule.time);
        self.current = Some((self.last, ends));
        self.counted.push((self.last, ends + millis(rule.within) + MARGIN));
        Claim::Yours(self.last)
    }

    /// Treats times that were recorded by a clock that was ahead as recorded now. Otherwise renewals would be
    /// refused until the clock has caught up.
    fn come_back(&mut self, now: i64, rule: &RenewalRule) {
        let (ends, within) = (now + millis(rule.time), millis(rule.within) + MARGIN);
        if let Some((_, until)) = &mut self.current {
            *until = (*until).min(ends);
        }
        for (_, until) in &mut self.counted {
            *until = (*until).min(ends + within);
        }
        if let Some(block) = &mut self.block {
            block.until = block.until.min(now + LONGEST_BLOCK);
        }
        if let Some(stored) = self.credential.as_mut().filter(|stored| stored.expires_at > now + LONGEST_LIFE)
        {
            // The source could refuse this credential: its remaining lifetime is no longer known.
            stored.expires_at = now;
        }
    }

    /// See [`super::CredentialLeases::finish`].
    pub fn finish(
        &mut self,
        now: OffsetDateTime,
        rule: &RenewalRule,
        ticket: u64,
        outcome: RenewalResult,
    ) -> Option<Duration> {
        let now = at(now);
        if matches!(outcome, RenewalResult::Failed { counts: false, .. }) {
            self.counted.retain(|(counted, _)| *counted != ticket);
        }
        if let Some((_, until)) = self.counted.iter_mut().find(|(counted, _)| *counted == ticket) {
            *until = (*until).min(now + millis(rule.within) + MARGIN);
        }
        self.current.take_if(|(current, _)| *current == ticket)?;
        match outcome {
            RenewalResult::Failed { cooldown: Cooldown { kind, reason, wait }, longest, .. } => {
                let last = self.block.take().filter(|last| last.kind == kind);
                let before = last.map_or(0, |last| last.before.saturating_add(1));
                let wait = doubled(wait, before, longest);
                self.block = Some(Blocked { kind, reason, until: now + millis(wait), before });
                Some(wait)
            }
            RenewalResult::Renewed { sealed, renew_in, expires_in } => {
                self.block = None;
                if let Some(sealed) = sealed {
                    let (renew_at, expires_at) = (now + millis(renew_in), now + millis(expires_in));
                    self.credential = Some(Stored { number: ticket, sealed, renew_at, expires_at });
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
