//! The bound of a day: a ledger of calls by lane, with shares kept back for the more urgent lanes.

use serde::{Deserialize, Serialize};

use super::{PerLane, millis};
use crate::queue::Lane;

/// A day (UTC), in milliseconds. When a source's own day begins is not known, unless it says so.
pub(super) const DAY: i64 = 86_400_000;
/// In the first hour what was spent says little about the day.
const HOUR: i64 = DAY / 24;
/// Full syncs and verification are spread over the day, with this much at once.
const HEAD_START: i64 = DAY / 8;
/// In thousandths of the allowance: kept for what people ask for, all day.
const FOR_PEOPLE: i64 = 50;

/// Counts the calls of a day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Day {
    /// Which one, counted from 1970.
    number: i64,
    pub(super) spent: PerLane<u32>,
    reported: Option<Reported>,
    /// The day will not suffice, unless calls are saved.
    #[serde(default)]
    pub(super) frugal: bool,
}

/// What the source itself counts, for all programs of the account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Reported {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) until: i64,
    pub(super) at: i64,
}

impl Reported {
    /// What is left of the plan for this program. Where nobody configured how many calls the plan has, the source's own
    /// number takes that place, and the part that is not for this program is left alone.
    fn for_us(&self, per_day: Option<u32>) -> i64 {
        let others = if per_day.is_some() { 0 } else { self.limit - allowance(self.limit) };
        i64::from(self.remaining) - i64::from(others)
    }
}

impl Day {
    /// Begins a new day where the old one has ended.
    pub(super) fn advance(&mut self, now: i64) {
        if self.number != now.div_euclid(DAY) {
            self.number = now.div_euclid(DAY);
            self.spent = PerLane::default();
            self.frugal = false;
        }
        if let Some(reported) = self.reported.as_mut().filter(|reported| reported.at > now) {
            // A clock that was ahead noted it.
            reported.until -= reported.at - now;
            reported.at = now;
        }
        self.reported = self.reported.filter(|reported| reported.until > now);
    }

    /// Writes a call down.
    pub(super) fn spend(&mut self, lane: Lane) {
        self.spent[lane] = self.spent[lane].saturating_add(1);
        if let Some(reported) = &mut self.reported {
            reported.remaining = reported.remaining.saturating_sub(1);
        }
    }

    /// A call that was written down was not sent.
    pub(super) fn give_back(&mut self, lane: Lane) {
        self.spent[lane] = self.spent[lane].saturating_sub(1);
        if let Some(reported) = &mut self.reported {
            reported.remaining = reported.remaining.saturating_add(1).min(reported.limit);
        }
    }

    /// A call was sent for another lane than it was written down for.
    pub(super) fn move_call(&mut self, from: Lane, to: Lane) {
        self.spent[from] = self.spent[from].saturating_sub(1);
        self.spent[to] = self.spent[to].saturating_add(1);
    }

    /// Takes over what the source counts: it knows what other programs spend. `open` calls may not be in it.
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

    /// What the source last said, while it is true.
    pub(super) fn reported(&self) -> Option<Reported> {
        self.reported
    }

    /// Calls that pushed events, local changes and incremental syncs will still take until midnight, if it goes on as
    /// it did so far today; no fewer than half an hour's, for they do not come evenly.
    pub(super) fn expected(&self, now: i64) -> i64 {
        let passed = now.rem_euclid(DAY);
        let lanes = [Lane::Outbound, Lane::Webhook, Lane::Incremental];
        let spent: i64 = lanes.into_iter().map(|lane| i64::from(self.spent[lane])).sum();
        if passed < HOUR { 0 } else { spent * (DAY - passed).max(HOUR / 2) / passed }
    }

    /// Calls left for all but people; `None`: nobody knows.
    pub(super) fn spare(&self, per_day: Option<u32>) -> Option<i64> {
        let own = per_day
            .map(allowance)
            .map(|allowance| i64::from(allowance) - for_people(allowance) - i64::from(self.spent.total()));
        let reported =
            self.reported.map(|reported| reported.for_us(per_day) - for_people(allowance(reported.limit)));
        own.into_iter().chain(reported).min()
    }

    /// Judges whether the day will suffice. Once it will not, it must do so with a margin to be believed again.
    pub(super) fn weigh(&mut self, now: i64, per_day: Option<u32>) {
        let expected = self.expected(now);
        let bound = if self.frugal { with_margin(expected) } else { expected };
        self.frugal = self.spare(per_day).is_some_and(|spare| bound > spare.max(0));
    }

    /// Until when there is no call left for the lane; `None`: there is one.
    pub(super) fn refuses(&self, lane: Lane, now: i64, per_day: Option<u32>) -> Option<i64> {
        let own = per_day.and_then(|limit| self.own(lane, now, allowance(limit)));
        // Where the source itself sees nothing left, it is the source that answers to a person.
        let reported = self.reported.filter(|_| lane != Lane::Operator).and_then(|reported| {
            let kept = self.kept_back(lane, now, allowance(reported.limit));
            (reported.for_us(per_day) <= kept).then_some(reported.until)
        });
        own.max(reported)
    }

    /// Calls left today; `None`: nobody knows.
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
        // Both bounds only rise in the course of the day.
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

    /// What the lane leaves to more urgent ones: their shares, or, for the lanes that can wait, what these will
    /// need by all appearances, and a margin: so the day does not fall short because of a bulk sync.
    fn kept_back(&self, lane: Lane, time: i64, allowance: u32) -> i64 {
        let share = share(lane, time.rem_euclid(DAY), allowance);
        let need = if lane < Lane::Full { 0 } else { with_margin(self.expected(time)) };
        if lane == Lane::Operator { 0 } else { for_people(allowance) + share.max(need) }
    }

    /// True where the lanes that can wait have spent less than their part of the day so far.
    fn is_paced(&self, lane: Lane, passed: i64, allowance: u32) -> bool {
        if lane < Lane::Full {
            return true;
        }
        let spent = i64::from(self.spent[Lane::Full]) + i64::from(self.spent[Lane::Verify]);
        let all = i64::from(allowance) * (1_000 - FOR_PEOPLE) / 1_000;
        spent < (all * (passed + HEAD_START) / DAY).max(1).min(all)
    }
}

/// The part of the plan that is for this program: 80 %. The rest is for people and other programs.
pub(super) fn allowance(limit: u32) -> u32 {
    limit - limit / 5
}

/// The part of the allowance that the lane leaves to more urgent ones at this time of the day. What they did not
/// need flows down in the course of the day.
fn share(lane: Lane, passed: i64, allowance: u32) -> i64 {
    let share = match lane {
        Lane::Operator | Lane::Outbound | Lane::Webhook => 0,
        Lane::Incremental => 100,
        Lane::Full => 150,
        Lane::Verify => 200,
    };
    i64::from(allowance) * share / 1_000 * (DAY - passed) / DAY
}

fn for_people(allowance: u32) -> i64 {
    i64::from(allowance) * FOR_PEOPLE / 1_000
}

/// A quarter more.
fn with_margin(calls: i64) -> i64 {
    calls.saturating_mul(5) / 4
}

#[cfg(test)]
mod tests;
