//! Predicts when a backlog will be read at the rate that the budget allows.

use std::time::Duration;

use time::OffsetDateTime;

use super::{
    BudgetStatus, PerLane,
    day::{DAY, Day},
};
use crate::queue::Lane;

/// The step of the calculation, in milliseconds: ten minutes.
const STEP: i64 = 600_000;
/// The number of days that a forecast covers at most.
const HORIZON_DAYS: i64 = 400;

/// The cost of a backlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The number of waiting calls of the lanes that can wait.
    pub backlog_calls: u64,
    /// The time until the last of these calls will have been made. `None` means that this time lies beyond the
    /// period that a forecast covers.
    pub done_in: Option<Duration>,
}

/// Simulates the rules of the day. The calls that the urgent lanes have spent so far today are taken as typical of
/// every day.
#[must_use]
pub fn forecast(now: OffsetDateTime, status: &BudgetStatus, per_minute: u32, backlog_calls: u64) -> Forecast {
    if backlog_calls == 0 {
        return Forecast { backlog_calls, done_in: Some(Duration::ZERO) };
    }
    let begin = super::at(now);
    let urgent = urgent_per_day(status, begin.rem_euclid(DAY));
    let mut day = Day::default();
    day.advance(begin);
    day.spent = status.day.spent;
    let per_step = u64::from(per_minute) * u64::try_from(STEP / 60_000).unwrap_or(1);
    let mut left = backlog_calls;
    let mut time = begin;
    if let Some(pause) = status.pause {
        time += super::millis(pause.left);
    }
    while time < begin + HORIZON_DAYS * DAY {
        day.advance(time);
        let due = urgent * time.rem_euclid(DAY) / DAY;
        day.spent[Lane::Webhook] = day.spent[Lane::Webhook].max(u32::try_from(due).unwrap_or(u32::MAX));
        let mut made = 0;
        while made < per_step.min(left) && day.refuses(Lane::Full, time, status.day.limit).is_none() {
            day.spend(Lane::Full);
            made += 1;
        }
        left -= made;
        if left == 0 {
            // Only the part of the last step that was needed counts.
            let part = STEP * i64::try_from(made).unwrap_or(0) / i64::try_from(per_step).unwrap_or(1).max(1);
            return Forecast { backlog_calls, done_in: Some(super::span(time + part - begin)) };
        }
        time += STEP;
    }
    Forecast { backlog_calls, done_in: None }
}

/// Returns the number of calls that the urgent lanes will spend a day, extrapolated from today's calls.
fn urgent_per_day(status: &BudgetStatus, passed: i64) -> i64 {
    let spent: PerLane<u32> = status.day.spent;
    let urgent: u32 = spent.iter().filter(|(lane, _)| *lane < Lane::Full).map(|(_, calls)| *calls).sum();
    // The calls of the first hour say little about a whole day.
    i64::from(urgent) * DAY / passed.max(DAY / 24)
}

#[cfg(test)]
mod tests;
