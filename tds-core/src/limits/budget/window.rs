//! The limit of a minute: a log of the calls that may have arrived in the last 60 seconds, or that may still
//! arrive.

use serde::{Deserialize, Serialize};

use super::{LeasedPermit, SettledCall, millis, span};
use crate::queue::Lane;

/// The source's window, and a margin for clocks that run at different speeds. All times in this file are in
/// milliseconds.
const WINDOW: i64 = 60_000 + 50;
/// The times until which settled calls count are rounded up to multiples of this step.
const STEP: i64 = 20;
/// The time over which urgent calls are counted to predict how many will come.
const RECENT: i64 = 120_000;
/// How far ahead permits are given out. This does not slow calls down, because a permit counts from its own start
/// time. But urgent calls of other processes cannot use a permit that is already given out.
const AHEAD: i64 = 1_000;
/// How far ahead a holder without permits receives one. All holders therefore take turns, and no holder has to ask
/// again and again.
pub(super) const FAR: i64 = 15_000;
/// How long a permit may be used after its start time.
pub(super) const VALID: i64 = 5_000;

/// The calls of the last minute, as far as they are known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct MinuteWindow {
    /// The number of the last permit.
    last: u64,
    open: Vec<Open>,
    /// Calls that ended: the time until which they count, and their number.
    counted: Vec<(i64, u32)>,
    /// The time at which the next call that is not urgent is due. These calls are spread evenly.
    spread: i64,
    /// The times at which urgent permits were given out recently.
    urgent: Vec<i64>,
}

/// A permit that is not settled. The permit counts from `from` on, and until `until` at the latest.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    number: u64,
    lane: Lane,
    from: i64,
    until: i64,
}

impl MinuteWindow {
    /// Forgets what no longer counts. Times that were recorded by a clock that was ahead count as recorded now:
    /// otherwise these calls would count in the minute until the clock has caught up.
    pub(super) fn advance(&mut self, now: i64, call_time: i64) {
        let latest = now + FAR;
        for permit in &mut self.open {
            permit.from = permit.from.min(latest);
            permit.until = permit.until.min(latest + VALID + call_time + WINDOW);
        }
        for (until, _) in &mut self.counted {
            *until = (*until).min((now + WINDOW + STEP - 1).div_euclid(STEP) * STEP);
        }
        for at in &mut self.urgent {
            *at = (*at).min(now);
        }
        self.spread = self.spread.min(latest + WINDOW);
        self.open.retain(|permit| permit.until > now);
        self.counted.retain(|(until, _)| *until > now);
        self.urgent.retain(|at| at + RECENT > now);
    }

    /// Leases a permit for a call that may begin at `from`. The call may begin until the permit's validity ends,
    /// and then takes at most `call_time`.
    pub(super) fn lease(&mut self, lane: Lane, now: i64, from: i64, call_time: i64) -> LeasedPermit {
        self.last += 1;
        self.open.push(Open { number: self.last, lane, from, until: from + VALID + call_time + WINDOW });
        if lane.is_urgent() {
            self.urgent.push(now);
        }
        LeasedPermit { number: self.last, lane, after: span(from - now) }
    }

    /// Records the end of a call, which arrived before its end. Returns the lane that the permit was leased for,
    /// unless the permit was settled before.
    pub(super) fn settle(&mut self, now: i64, call: &SettledCall) -> Option<Lane> {
        let permit = self.take(call.permit)?;
        let until = now - millis(call.age) + WINDOW;
        let until = (until + STEP - 1).div_euclid(STEP) * STEP;
        match self.counted.iter_mut().find(|(step, _)| *step == until) {
            Some((_, count)) => *count += 1,
            None => self.counted.push((until, 1)),
        }
        Some(permit.lane)
    }

    /// Takes back a permit that was not used. Returns its lane, unless the permit was settled before.
    pub(super) fn give_back(&mut self, number: u64) -> Option<Lane> {
        self.take(number).map(|permit| permit.lane)
    }

    fn take(&mut self, number: u64) -> Option<Open> {
        self.open.extract_if(.., |permit| permit.number == number).next()
    }

    /// Returns the first time from `now` on at which one more call of the lane may begin. The error is the time to
    /// wait before such a permit can be given out. `first` is true if the holder has no permit yet.
    pub(super) fn earliest(&mut self, lane: Lane, now: i64, ceiling: u32, first: bool) -> Result<i64, i64> {
        let bound =
            if lane.is_urgent() { ceiling } else { ceiling.saturating_sub(self.reserve(ceiling)).max(1) };
        let period = WINDOW / i64::from(bound);
        let burst = i64::from(ceiling / 50).max(1) * period;
        let begin = if lane.is_urgent() { now } else { now.max(self.spread - burst) };
        let from = self.room_from(begin, bound);
        if from > now + if first || lane.is_urgent() { FAR } else { AHEAD } {
            return Err(from - AHEAD - now);
        }
        if !lane.is_urgent() {
            self.spread = self.spread.max(from) + period;
        }
        Ok(from)
    }

    /// Returns the number of permits that are not settled.
    pub(super) fn open(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    /// Returns the number of calls that the minute has left now.
    pub(super) fn left(&self, now: i64, ceiling: u32) -> u32 {
        ceiling.saturating_sub(self.most_from(now))
    }

    /// Returns the number of calls that the lanes that are not urgent leave: three of a hundred, and more if
    /// urgent calls were made recently.
    pub(super) fn reserve(&self, ceiling: u32) -> u32 {
        let recent = u32::try_from(self.urgent.len()).unwrap_or(u32::MAX);
        ceiling * 3 / 100 + (recent / 2).min(ceiling / 50)
    }

    fn room_from(&self, begin: i64, bound: u32) -> i64 {
        let mut ends: Vec<i64> = self.open.iter().map(|permit| permit.until).collect();
        ends.extend(self.counted.iter().map(|(until, _)| *until));
        ends.push(begin);
        // Permits that would start later are not given out in any case.
        ends.retain(|end| (begin..=begin + WINDOW).contains(end));
        ends.sort_unstable();
        ends.dedup();
        ends.into_iter().find(|end| self.most_from(*end) < bound).unwrap_or(begin + WINDOW)
    }

    /// Returns the maximum number of calls that count at any time from `at` on, if nothing is added.
    fn most_from(&self, at: i64) -> u32 {
        let beginnings = self.open.iter().map(|permit| permit.from).filter(|from| *from > at);
        beginnings.chain([at]).map(|time| self.count(time)).max().unwrap_or(0)
    }

    fn count(&self, at: i64) -> u32 {
        let settled: u32 = self.counted.iter().filter(|(until, _)| *until > at).map(|(_, count)| count).sum();
        let open = self.open.iter().filter(|permit| permit.from <= at && at < permit.until).count();
        settled.saturating_add(u32::try_from(open).unwrap_or(u32::MAX))
    }
}
