//! The pause of the whole organization after Zoho said "too many".

use std::time::Duration;

use tds_core::Lane;
use tokio::time::Instant;

use crate::{error::Limit, jitter::up_to};

/// First pause of the minute's limit; how long Zoho's own block lasts is not documented.
const SHORTEST: Duration = Duration::from_secs(60);
/// Longest pause of the minute's limit.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// When the day's limit is probed again where Zoho does not say when it begins anew.
const PROBE: Duration = Duration::from_secs(30 * 60);

/// What Zoho wished for in the headers of a 429.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// When the quota begins anew.
    pub(super) reset: Option<Duration>,
}

/// The pause, if there is one, and how many came in a row.
#[derive(Default)]
pub(super) struct Pauses {
    current: Option<Pause>,
    strikes: u32,
}

#[derive(Clone, Copy)]
struct Pause {
    limit: Limit,
    set_at: Instant,
    until: Instant,
}

impl Pauses {
    /// What forbids the lane to send, and for how long. A spent day is no bar to what a person asks for.
    pub(super) fn blocks(&self, lane: Lane, now: Instant) -> Option<(Limit, Duration)> {
        let pause = self.current.filter(|pause| pause.until > now)?;
        let passes = pause.limit == Limit::Day && lane == Lane::Operator;
        (!passes).then(|| (pause.limit, pause.until - now))
    }

    /// Zoho refused a call that was let go at `issued_at`. How long to pause from now on.
    pub(super) fn refused(
        &mut self,
        limit: Limit,
        issued_at: Instant,
        now: Instant,
        wish: Wish,
        random: u64,
    ) -> Duration {
        let before = self.current;
        // Calls that were on their way when the pause began tell nothing new.
        let same_storm = before.is_some_and(|pause| issued_at <= pause.set_at && pause.until > now);
        if limit == Limit::Minute && !same_storm {
            self.strikes = self.strikes.saturating_add(1);
        }
        let length = length(limit, self.strikes, wish, random);
        let left = before.map_or(Duration::ZERO, |pause| pause.until.saturating_duration_since(now));
        let worse =
            before.is_none_or(|pause| limit == Limit::Day || pause.limit != Limit::Day || left.is_zero());
        if length > left && (!same_storm || wish.retry_after.is_some() || limit != Limit::Minute) {
            let limit = if worse { limit } else { Limit::Day };
            self.current = Some(Pause { limit, set_at: now, until: now + length });
            return length;
        }
        left
    }

    /// A call that was let go at `issued_at` went well. True when that ends a pause or a row of them.
    pub(super) fn went_well(&mut self, issued_at: Instant) {
        if self.current.is_some_and(|pause| issued_at > pause.set_at) {
            self.current = None;
            self.strikes = 0;
        }
    }
}

fn length(limit: Limit, strikes: u32, wish: Wish, random: u64) -> Duration {
    let wished = match limit {
        Limit::Day => wish.reset.or(wish.retry_after),
        Limit::Minute | Limit::Concurrency => wish.retry_after,
    };
    wished.unwrap_or_else(|| match limit {
        Limit::Minute => {
            let doubled =
                SHORTEST.saturating_mul(2_u32.saturating_pow(strikes.saturating_sub(1))).min(LONGEST);
            doubled + up_to(doubled / 10, random)
        }
        Limit::Day => PROBE + up_to(PROBE, random),
        Limit::Concurrency => Duration::from_secs(1) + up_to(Duration::from_secs(4), random),
    })
}

#[cfg(test)]
mod tests;
