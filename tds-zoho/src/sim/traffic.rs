//! Counts calls and refuses calls that exceed a limit.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

/// The limits of the organization. By default there are none.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of calls in any window of 60 seconds. Refused calls count too. Calls above it are answered
    /// 429 with code 44.
    pub per_minute: Option<usize>,
    /// How long all calls are refused after code 44.
    pub block: Duration,
    /// The maximum number of calls of a day. Calls above the maximum are answered 429 with code 45.
    pub per_day: Option<u64>,
    /// The maximum number of calls in flight. Calls above it are answered 429 with code 1070. Calls overlap only if
    /// answers have a latency.
    pub concurrent: Option<usize>,
    /// The window of `per_minute`. Shorter windows are for fast tests.
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self { per_minute: None, block: minute, per_day: None, concurrent: None, window: minute }
    }
}

/// The counters. They do not include calls to the accounts server.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) limits: Limits,
    pub(crate) latency: Duration,
    pub(crate) total: u64,
    pub(crate) writes: u64,
    pub(crate) today: u64,
    pub(crate) max_in_window: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) refused: u64,
    pub(crate) by_path: HashMap<String, u64>,
    window: VecDeque<Instant>,
    in_flight: Vec<Instant>,
    pub(crate) blocked_until: Option<Instant>,
}

impl Traffic {
    /// Counts a call at its arrival.
    pub(crate) fn arrive(&mut self, method: &str, path: &str, now: Instant) {
        self.total += 1;
        self.writes += u64::from(method != "GET");
        self.today += 1;
        *self.by_path.entry(path.to_owned()).or_default() += 1;
        let length = self.limits.window;
        while self.window.front().is_some_and(|first| now.duration_since(*first) >= length) {
            self.window.pop_front();
        }
        self.window.push_back(now);
        self.max_in_window = self.max_in_window.max(self.window.len());
        self.in_flight.retain(|end| *end > now);
        self.max_in_flight = self.max_in_flight.max(self.in_flight.len() + 1);
    }

    /// Records how long the answer of a call is in flight.
    pub(crate) fn answer_until(&mut self, end: Instant) {
        self.in_flight.push(end);
    }

    /// Returns the code and the message, if the call that just arrived exceeds a limit.
    pub(crate) fn refusal(&mut self, now: Instant) -> Option<(i64, String)> {
        let refusal = self.broken_limit(now);
        self.refused += u64::from(refusal.is_some());
        refusal
    }

    fn broken_limit(&mut self, now: Instant) -> Option<(i64, String)> {
        let blocked = self.blocked_until.is_some_and(|end| now < end);
        let too_fast = self.limits.per_minute.is_some_and(|limit| self.window.len() > limit);
        if too_fast && !blocked {
            self.blocked_until = Some(now + self.limits.block);
        }
        if blocked || too_fast {
            let message = "For security reasons your organization has been blocked as it have exceeded the \
                           maximum number of requests per minute that can originate from an organization.";
            return Some((44, message.to_owned()));
        }
        if let Some(limit) = self.limits.per_day.filter(|limit| self.today > *limit) {
            let message = format!(
                "The API call for this organization has exceeded the maximum call rate limit of {limit}."
            );
            return Some((45, message));
        }
        if self.limits.concurrent.is_some_and(|limit| self.in_flight.len() >= limit) {
            let message = "You have reached the maximum number of in process requests allowed. \
                           Kindly try again after some time.";
            return Some((1070, message.to_owned()));
        }
        None
    }
}
