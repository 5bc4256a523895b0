//! The pause of the whole account after the source said "too many".

use serde::{Deserialize, Serialize};

use super::{CallLimit, millis};
use crate::queue::Lane;

/// First pause of the minute's limit, in milliseconds; how long a source's own block lasts is rarely documented.
const SHORTEST: i64 = 60_000;
/// Longest pause of the minute's limit.
const LONGEST: i64 = 900_000;
/// When the day's limit is probed again where the source does not say when it begins anew.
const PROBE: i64 = 1_800_000;

/// The pause, if there is one, and how many came in a row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pauses {
    current: Option<Pause>,
    strikes: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pause {
    limit: CallLimit,
    set_at: i64,
    until: i64,
}

/// A refusal, its times on the store's clock.
pub(super) struct Refused {
    pub(super) limit: CallLimit,
    pub(super) issued_at: i64,
    pub(super) retry_after: Option<std::time::Duration>,
    pub(super) reset: Option<std::time::Duration>,
    pub(super) chance: u64,
}

impl Pauses {
    /// A pause that was set by a clock that was ahead begins now, and is as long as it was meant to be.
    pub(super) fn advance(&mut self, now: i64) {
        if let Some(pause) = self.current.as_mut().filter(|pause| pause.set_at > now) {
            pause.until -= pause.set_at - now;
            pause.set_at = now;
        }
    }

    /// The pause that lasts now: its limit and its end.
    pub(super) fn current(&self, now: i64) -> Option<(CallLimit, i64)> {
        self.current.filter(|pause| pause.until > now).map(|pause| (pause.limit, pause.until))
    }

    /// What forbids the lane to send, and until when. A spent day is no bar to what a person asks for.
    pub(super) fn blocks(&self, lane: Lane, now: i64) -> Option<(CallLimit, i64)> {
        self.current(now).filter(|(limit, _)| *limit != CallLimit::Day || lane != Lane::Operator)
    }

    /// Takes note of a refusal.
    pub(super) fn refused(&mut self, refused: &Refused, now: i64) {
        let before = self.current;
        // Calls that were on their way when the pause began tell nothing new.
        let same_storm = before.is_some_and(|pause| refused.issued_at <= pause.set_at && pause.until > now);
        if refused.limit == CallLimit::Minute && !same_storm {
            self.strikes = self.strikes.saturating_add(1);
        }
        let length = length(refused, self.strikes);
        let left = before.map_or(0, |pause| (pause.until - now).max(0));
        let worse = before.is_none_or(|pause| {
            refused.limit == CallLimit::Day || pause.limit != CallLimit::Day || left == 0
        });
        let extends = !same_storm || refused.retry_after.is_some() || refused.limit != CallLimit::Minute;
        if length > left && extends {
            let limit = if worse { refused.limit } else { CallLimit::Day };
            self.current = Some(Pause { limit, set_at: now, until: now + length });
        }
    }

    /// A call that was let go at `issued_at` was let in: that ends a pause that began before, and a row of them.
    pub(super) fn let_in(&mut self, issued_at: i64) {
        if self.current.is_some_and(|pause| issued_at > pause.set_at) {
            self.current = None;
            self.strikes = 0;
        }
    }
}

fn length(refused: &Refused, strikes: u32) -> i64 {
    let wished = match refused.limit {
        CallLimit::Day => refused.reset.or(refused.retry_after),
        CallLimit::Minute | CallLimit::Concurrency => refused.retry_after,
    };
    wished.map_or_else(
        || match refused.limit {
            CallLimit::Minute => {
                let doubled =
                    SHORTEST.saturating_mul(2_i64.saturating_pow(strikes.saturating_sub(1))).min(LONGEST);
                doubled + up_to(doubled / 10, refused.chance)
            }
            CallLimit::Day => PROBE + up_to(PROBE, refused.chance),
            CallLimit::Concurrency => 1_000 + up_to(4_000, refused.chance),
        },
        millis,
    )
}

/// A part of `most`, chosen by chance; `most` itself is possible.
fn up_to(most: i64, chance: u64) -> i64 {
    let most = u64::try_from(most).unwrap_or(0);
    i64::try_from(chance % (most + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
