//! The state of an account that a store keeps. Every decision about the account is a pure function of the state,
//! the time and the request.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    BudgetRequest, BudgetStatus, CallLimit, DayStatus, Grant, LeasedPermit, LimitSignal, Limits, Passage,
    PauseStatus, PerLane, Refusal, at,
    breaker::Breakers,
    day::{Day, allowance},
    millis, moment,
    pause::{Pauses, Refused},
    slots::CallSlots,
    span,
    window::{FAR, MinuteWindow, VALID},
};
use crate::queue::Lane;

/// The maximum number of permits in one answer. More would only make a killed process waste more permits.
const BLOCK: usize = 20;
/// The time, in milliseconds, after which a holder without a slot asks again.
const NO_PLACE: i64 = 500;

/// The state of one account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BudgetState {
    window: MinuteWindow,
    slots: CallSlots,
    day: Day,
    pauses: Pauses,
    breakers: Breakers,
}

impl BudgetState {
    /// Records what a holder reports, and gives out permits.
    pub fn exchange(&mut self, now: OffsetDateTime, limits: &Limits, request: &BudgetRequest) -> Grant {
        let now = at(now);
        self.advance(now, limits);
        self.settle(now, request);
        for signal in &request.signals {
            self.apply_signal(now, limits, signal);
        }
        self.day.weigh(now, limits.per_day);
        let until = now + FAR + VALID + millis(limits.call_time);
        let slots = self.slots.share(request, limits.concurrent, now, until);
        let (permits, wait) = self.lease(now, limits, request, slots);
        let passage = match &request.pass {
            Some(place) => self.breakers.pass(place, now, millis(limits.call_time)),
            None => Passage::Free,
        };
        let status = self.status_at(now, limits);
        Grant { permits, valid: span(VALID), slots, ask_again: span(wait), status, passage }
    }

    /// Returns the status of the account.
    #[must_use]
    pub fn status(&self, now: OffsetDateTime, limits: &Limits) -> BudgetStatus {
        let (mut state, now) = (self.clone(), at(now));
        state.advance(now, limits);
        state.day.weigh(now, limits.per_day);
        state.status_at(now, limits)
    }

    /// Forgets what no longer counts. Times that were recorded by a clock that was ahead count as recorded now.
    fn advance(&mut self, now: i64, limits: &Limits) {
        let call_time = millis(limits.call_time);
        self.window.advance(now, call_time);
        self.slots.advance(now, now + FAR + VALID + call_time);
        self.day.advance(now);
        self.pauses.advance(now);
        self.breakers.advance(now, call_time);
    }

    fn settle(&mut self, now: i64, request: &BudgetRequest) {
        for call in &request.settled {
            if let Some(lane) = self.window.settle(now, call) {
                self.day.move_call(lane, call.lane);
            }
        }
        for number in &request.unused {
            if let Some(lane) = self.window.give_back(*number) {
                self.day.give_back(lane);
            }
        }
    }

    fn apply_signal(&mut self, now: i64, limits: &Limits, signal: &LimitSignal) {
        match *signal {
            LimitSignal::Refused { limit, issued, retry_after, reset, chance } => {
                if limit == CallLimit::Concurrency {
                    self.slots.narrow(now, limits.concurrent);
                }
                let issued_at = now - millis(issued);
                self.pauses.refused(&Refused { limit, issued_at, retry_after, reset, chance }, now);
            }
            LimitSignal::Admission { issued } => self.pauses.let_in(now - millis(issued)),
            LimitSignal::Quota { limit, remaining, reset, age } => {
                self.day.correct(limit, remaining, reset, now - millis(age), self.window.open());
            }
            LimitSignal::Fault(ref fault) => self.breakers.fault(fault, now),
            LimitSignal::Worked { ref place, issued } => {
                self.breakers.worked(place, now - millis(issued), now)
            }
        }
    }

    /// Leases permits, lane by lane. Returns them with the time after which to ask again for more.
    fn lease(
        &mut self,
        now: i64,
        limits: &Limits,
        request: &BudgetRequest,
        slots: u32,
    ) -> (Vec<LeasedPermit>, i64) {
        let mut permits = Vec::new();
        let mut wait = NO_PLACE;
        if slots == 0 {
            return (permits, wait);
        }
        for (lane, wanted) in request.wants.iter() {
            for _call in request.at_hand[lane]..*wanted {
                if permits.len() >= BLOCK || self.refuses(lane, now, limits).is_some() {
                    break;
                }
                let is_first = request.at_hand.total() == 0 && permits.is_empty();
                let from = match limits.per_minute {
                    Some(ceiling) => self.window.earliest(lane, now, ceiling, is_first),
                    None => Ok(now),
                };
                match from {
                    Ok(from) => {
                        permits.push(self.window.lease(lane, now, from, millis(limits.call_time)));
                        self.day.spend(lane);
                    }
                    Err(later) => {
                        wait = later.max(50);
                        break;
                    }
                }
            }
        }
        permits.sort_by_key(|permit| permit.after);
        (permits, wait)
    }

    fn refuses(&self, lane: Lane, now: i64, limits: &Limits) -> Option<Refusal> {
        let paused = self.pauses.blocks(lane, now).map(|(limit, until)| (limit, true, until));
        let spent = self.day.refuses(lane, now, limits.per_day).map(|until| (CallLimit::Day, false, until));
        let (limit, paused, until) = paused.or(spent)?;
        Some(Refusal { limit, paused, wait: span((until - now).max(1)) })
    }

    fn status_at(&self, now: i64, limits: &Limits) -> BudgetStatus {
        let reported = self.day.reported;
        let limit = limits.per_day.or(reported.map(|reported| reported.limit));
        let pause = self.pauses.current(now).map(|(limit, until)| PauseStatus {
            limit,
            left: span(until - now),
            until: moment(until),
        });
        let paused = pause.is_some();
        BudgetStatus {
            minute_left: limits
                .per_minute
                .map(|ceiling| if paused { 0 } else { self.window.left(now, ceiling) }),
            minute_reserve: limits.per_minute.map_or(0, |ceiling| self.window.reserve(ceiling)),
            concurrent: self.slots.bound(limits.concurrent),
            day: DayStatus {
                limit,
                allowance: limit.map(allowance),
                spent: self.day.spent,
                left: self.day.left(limits.per_day),
                expected: u32::try_from(self.day.expected(now)).unwrap_or(u32::MAX),
                spare: self.day.spare(limits.per_day).map(|spare| u32::try_from(spare).unwrap_or(0)),
                frugal: self.day.frugal,
                reported_left: reported.map(|reported| reported.remaining),
                reported_age: reported.map(|reported| span(now - reported.at)),
            },
            pause,
            breakers: self.breakers.status(now),
            refused: PerLane::from_fn(|lane| self.refuses(lane, now, limits)),
        }
    }
}

#[cfg(test)]
mod tests;
