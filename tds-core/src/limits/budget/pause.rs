//! The pause of the whole account after the source refused a call because of a limit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CallLimit, millis};
use crate::{queue::Lane, retry::doubled};

/// The first pause for the minute's limit. Sources rarely document how long their own block lasts.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest pause for the minute's limit.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// The shortest time, in milliseconds, after which the day's limit is probed if the source does not report when
/// its quota is reset. A random time of up to the same length is added.
const PROBE: i64 = 1_800_000;

/// The current pause, if there is one, and the number of consecutive refusals for the minute's limit.
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

/// A refusal, with its times by the store's clock.
pub(super) struct Refused {
    pub(super) limit: CallLimit,
    pub(super) issued_at: i64,
    pub(super) retry_after: Option<Duration>,
    pub(super) reset: Option<Duration>,
    pub(super) chance: u64,
}

impl Pauses {
    /// Shifts a pause that was set by a clock that was ahead: the pause begins now and keeps its length.
    pub(super) fn advance(&mut self, now: i64) {
        if let Some(pause) = self.current.as_mut().filter(|pause| pause.set_at > now) {
            pause.until -= pause.set_at - now;
            pause.set_at = now;
        }
    }

    /// Returns the limit and the end of the current pause.
    pub(super) fn current(&self, now: i64) -> Option<(CallLimit, i64)> {
        self.current.filter(|pause| pause.until > now).map(|pause| (pause.limit, pause.until))
    }

    /// Returns the limit that forbids the lane to send, and the time until which it does. A spent day does not
    /// block an operator's request.
    pub(super) fn blocks(&self, lane: Lane, now: i64) -> Option<(CallLimit, i64)> {
        self.current(now).filter(|(limit, _)| *limit != CallLimit::Day || lane != Lane::Operator)
    }

    /// Records a refusal.
    pub(super) fn refused(&mut self, refused: &Refused, now: i64) {
        let before = self.current;
        // Calls that were in flight when the pause began carry no new information.
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

    /// Records that the source accepted a call that was sent at `issued_at`. This ends a pause that began before
    /// the call, and the series of pauses.
    pub(super) fn let_in(&mut self, issued_at: i64) {
        if self.current.is_some_and(|pause| issued_at > pause.set_at) {
            self.current = None;
            self.strikes = 0;
        }
    }
}

fn length(refused: &Refused, strikes: u32) -> i64 {
    let requested = match refused.limit {
        CallLimit::Day => refused.reset.or(refused.retry_after),
        CallLimit::Minute | CallLimit::Concurrency => refused.retry_after,
    };
    requested.map_or_else(
        || match refused.limit {
            CallLimit::Minute => {
                let pause = millis(doubled(SHORTEST, strikes.saturating_sub(1), LONGEST));
                pause + up_to(pause / 10, refused.chance)
            }
            CallLimit::Day => PROBE + up_to(PROBE, refused.chance),
            CallLimit::Concurrency => 1_000 + up_to(4_000, refused.chance),
        },
        millis,
    )
}

/// Returns a random part of `most`, including `most` itself.
fn up_to(most: i64, chance: u64) -> i64 {
    let most = u64::try_from(most).unwrap_or(0);
    i64::try_from(chance % (most + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
