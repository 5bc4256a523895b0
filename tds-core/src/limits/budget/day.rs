//! The limit of a day: counts of calls by lane, with shares reserved for the more urgent lanes.

use serde::{Deserialize, Serialize};

use super::{PerLane, millis};
use crate::queue::Lane;

/// A day (UTC), in milliseconds. The start of a source's own day is not known, unless the source reports it.
pub(super) const DAY: i64 = 86_400_000;
/// An hour, in milliseconds. In the first hour of a day, the calls spent so far say little about the whole day.
const HOUR: i64 = DAY / 24;
/// Full syncs and verification are spread over the day. This part of the day, in milliseconds, is available to them
/// at once.
const HEAD_START: i64 = DAY / 8;
/// The share of the allowance, in thousandths, that is reserved for operators' requests all day.
const FOR_PEOPLE: i64 = 50;

/// Counts the calls of a day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Day {
    /// The number of the day, counted from 1970.
    number: i64,
    pub(super) spent: PerLane<u32>,
    /// The numbers that the source last reported, while they are valid.
    pub(super) reported: Option<Reported>,
    /// True if the day's calls will not suffice unless calls are saved.
    #[serde(default)]
    pub(super) frugal: bool,
}

/// The numbers that the source itself reports, for all programs of the account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Reported {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) until: i64,
    pub(super) at: i64,
}

impl Reported {
    /// Returns how many calls of the plan are left for this program. If the size of the plan is not configured,
    /// the source's own number is used as the plan, and the part of the plan that is not for this program is left
    /// unused.
    fn for_us(&self, per_day: Option<u32>) -> i64 {
        let others = if per_day.is_some() { 0 } else { self.limit - allowance(self.limit) };
        i64::from(self.remaining) - i64::from(others)
    }
}

impl Day {
    /// Starts a new day if the old day has ended.
    pub(super) fn advance(&mut self, now: i64) {
        if self.number != now.div_euclid(DAY) {
            self.number = now.div_euclid(DAY);
            self.spent = PerLane::default();
            self.frugal = false;
        }
        if let Some(reported) = self.reported.as_mut().filter(|reported| reported.at > now) {
            // A clock that was ahead recorded these numbers.
            reported.until -= reported.at - now;
            reported.at = now;
        }
        self.reported = self.reported.filter(|reported| reported.until > now);
    }

    /// Counts a call.
    pub(super) fn spend(&mut self, lane: Lane) {
        self.spent[lane] = self.spent[lane].saturating_add(1);
        if let Some(reported) = &mut self.reported {
            reported.remaining = reported.remaining.saturating_sub(1);
        }
    }

    /// Takes back a counted call that was not sent.
    pub(super) fn give_back(&mut self, lane: Lane) {
        self.spent[lane] = self.spent[lane].saturating_sub(1);
        if let Some(reported) = &mut self.reported {
            reported.remaining = reported.remaining.saturating_add(1).min(reported.limit);
        }
    }

    /// Moves a counted call to another lane, because the call was sent for that lane.
    pub(super) fn move_call(&mut self, from: Lane, to: Lane) {
        self.spent[from] = self.spent[from].saturating_sub(1);
        self.spent[to] = self.spent[to].saturating_add(1);
    }

    /// Takes over the source's own numbers, which include the calls of other programs. `open` calls may not be
    /// included in them.
    pub(super) fn correct(
        &mut self,
        limit: u32,
        remaining: u32,
        reset: Option<std::time::Duration>,
        at: i64,
        open: u32,
    ) {
        let until = reset.map_or((at.div_euclid(DAY) + 1) * DAY, |reset| at + millis(reset));
        self.reported = Some(Reported { limit, remaining: remaining.saturating_sub(open), until, at });
    }

    /// Returns the number of calls that pushed events, local changes, derived values and incremental syncs will probably
    /// take until midnight, at the rate of the day so far. The remaining time counts as at least half an hour, because these
    /// calls do not arrive evenly.
    pub(super) fn expected(&self, now: i64) -> i64 {
        let passed = now.rem_euclid(DAY);
        let lanes = [Lane::Outbound, Lane::Webhook, Lane::Derived, Lane::Incremental];
        let spent: i64 = lanes.into_iter().map(|lane| i64::from(self.spent[lane])).sum();
        if passed < HOUR { 0 } else { spent * (DAY - passed).max(HOUR / 2) / passed }
    }

    /// Returns the number of calls left for all lanes but operators' requests. `None` means that the number is not
    /// known.
    pub(super) fn spare(&self, per_day: Option<u32>) -> Option<i64> {
        let own = per_day
            .map(allowance)
            .map(|allowance| i64::from(allowance) - for_people(allowance) - i64::from(self.spent.total()));
        let reported =
            self.reported.map(|reported| reported.for_us(per_day) - for_people(allowance(reported.limit)));
        own.into_iter().chain(reported).min()
    }

    /// Decides whether the day's calls will suffice. Once they do not, they must suffice with a margin before the
    /// day counts as sufficient again.
    pub(super) fn weigh(&mut self, now: i64, per_day: Option<u32>) {
        let expected = self.expected(now);
        let bound = if self.frugal { with_margin(expected) } else { expected };
        self.frugal = self.spare(per_day).is_some_and(|spare| bound > spare.max(0));
    }

    /// Returns the time until which the lane has no call left. `None` means that the lane has one.
    pub(super) fn refuses(&self, lane: Lane, now: i64, per_day: Option<u32>) -> Option<i64> {
        let own = per_day.and_then(|limit| self.own(lane, now, allowance(limit)));
        // If the source itself reports that nothing is left, an operator's request is still sent, so that the
        // source's own answer reaches the operator.
        let reported = self.reported.filter(|_| lane != Lane::Operator).and_then(|reported| {
            let kept = self.kept_back(lane, now, allowance(reported.limit));
            (reported.for_us(per_day) <= kept).then_some(reported.until)
        });
        own.max(reported)
    }

    /// Returns the number of calls left today. `None` means that the number is not known.
    pub(super) fn left(&self, per_day: Option<u32>) -> Option<u32> {
        let own = per_day.map(|limit| allowance(limit).saturating_sub(self.spent.total()));
        let reported = self.reported.map(|reported| u32::try_from(reported.for_us(per_day)).unwrap_or(0));
        own.into_iter().chain(reported).min()
    }

    fn own(&self, lane: Lane, now: i64, allowance: u32) -> Option<i64> {
        let (passed, midnight) = (now.rem_euclid(DAY), (now.div_euclid(DAY) + 1) * DAY);
        let open = |time: i64| {
            i64::from(self.spent.total()) < i64::from(allowance) - self.kept_back(lane, time, allowance)
                && self.is_paced(lane, time, allowance)
        };
        if open(passed) {
            return None;
        }
        // Both bounds only rise in the course of the day, so that a binary search finds the time.
        if !open(DAY - 1) {
            return Some(midnight);
        }
        let (mut closed, mut opened) = (passed, DAY - 1);
        while opened - closed > 1_000 {
            let middle = closed.midpoint(opened);
            if open(middle) { opened = middle } else { closed = middle }
        }
        Some(now - passed + opened)
    }

    /// Returns the number of calls that the lane leaves to more urgent lanes. This number is the share of those
    /// lanes or, for full syncs and verification, what those lanes will probably need with a margin, whichever is
    /// more. A bulk sync therefore does not use up the day.
    fn kept_back(&self, lane: Lane, time: i64, allowance: u32) -> i64 {
        let share = share(lane, time.rem_euclid(DAY), allowance);
        let need = if lane < Lane::Full { 0 } else { with_margin(self.expected(time)) };
        if lane == Lane::Operator { 0 } else { for_people(allowance) + share.max(need) }
    }

    /// Returns true if full syncs and verification have spent less than their part of the day so far.
    fn is_paced(&self, lane: Lane, passed: i64, allowance: u32) -> bool {
        if lane < Lane::Full {
            return true;
        }
        let spent = i64::from(self.spent[Lane::Full]) + i64::from(self.spent[Lane::Verify]);
        let all = i64::from(allowance) * (1_000 - FOR_PEOPLE) / 1_000;
        spent < (all * (passed + HEAD_START) / DAY).max(1).min(all)
    }
}

/// Returns the part of the plan that is for this program: 80 %. The rest is for people and other programs.
pub(super) fn allowance(limit: u32) -> u32 {
    limit - limit / 5
}

/// Returns the part of the allowance that the lane leaves to more urgent lanes at this time of the day. This part
/// shrinks in the course of the day, so that the less urgent lanes receive what the urgent lanes did not need.
fn share(lane: Lane, passed: i64, allowance: u32) -> i64 {
    let share = match lane {
        Lane::Operator | Lane::Outbound | Lane::Webhook => 0,
        Lane::Incremental => 100,
        // A derived value that is read late is only old, and its schedule reads it as well. It is therefore the first
        // to be saved of what is not bulk work.
        Lane::Derived => 120,
        Lane::Full => 150,
        Lane::Verify => 200,
    };
    i64::from(allowance) * share / 1_000 * (DAY - passed) / DAY
}

fn for_people(allowance: u32) -> i64 {
    i64::from(allowance) * FOR_PEOPLE / 1_000
}

/// Returns the number of calls and a quarter more.
fn with_margin(calls: i64) -> i64 {
    calls.saturating_mul(5) / 4
}

#[cfg(test)]
mod tests;
