//! Breakers keep processes from repeating calls that fail for every process.
//!
//! A source has places that fail independently: a service (a product, a base address), and each kind of call in
//! that service. Consecutive faults open the breaker of a place for all processes. While a breaker is open, the
//! place receives only a single probe at a time, at growing intervals. The first call that is answered as expected
//! closes the breaker for all processes.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{millis, moment, span};
use crate::retry::doubled;

/// The number of consecutive faults, of different calls, that opens a breaker.
const IN_A_ROW: u32 = 3;
/// How many times as often an outage of the connection to the source is probed as a refused account.
const PROBE_RATIO: i64 = 12;
/// The longest interval for a refused account, in multiples of its first interval: with a first interval of one
/// minute the longest is 15 minutes.
const LONGEST: i64 = 15;
/// The time, in milliseconds, after the last fault at which a series of faults, or a breaker that nothing probes,
/// is forgotten.
const FORGOTTEN: i64 = 3_600_000;
/// The margin, in milliseconds, that a probe has beyond the time of its call.
const MARGIN: i64 = 5_000;

/// The place that a call goes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The service, which works or fails as a whole.
    pub service: String,
    /// The kind of call in the service. The text begins with the service's name and a blank.
    pub endpoint: String,
}

/// The cause of a fault that no record causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageCause {
    /// The source does not answer, or cannot be reached, or something else answers in its place.
    Connection,
    /// The source refuses the account or its organization. An operator has to act.
    Account,
}

/// A call that failed for a reason that its record does not cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFault {
    /// The place that was called.
    pub place: Place,
    /// The cause of the fault.
    pub cause: OutageCause,
    /// True if the answer itself says that the fault concerns the whole service. One such fault opens the
    /// breaker.
    pub everywhere: bool,
    /// A number that identifies the call. Repeated faults of the same call count once.
    pub call: u64,
    /// The time since the call was sent.
    pub issued: Duration,
    /// The wait that the source asked for.
    pub retry_after: Option<Duration>,
    /// The time after which a refused account is probed for the first time.
    pub first_probe: Duration,
    /// What happened, for operators.
    pub reason: String,
}

/// A breaker that is open, or a series of faults that may open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerStatus {
    /// The name of the service, or of the kind of call in it.
    pub place: String,
    /// The cause of the faults.
    pub cause: OutageCause,
    /// A description of the last fault.
    pub reason: String,
    /// The number of consecutive faults.
    pub faults: u32,
    /// The time of the first fault of the series, by the store's clock.
    pub since: OffsetDateTime,
    /// The time at which the next probe may be made. `None` means that the breaker is not open, and that every call
    /// may be made.
    pub next_probe_at: Option<OffsetDateTime>,
    /// The time until the next probe.
    pub wait: Duration,
}

impl BreakerStatus {
    /// Returns true if only probes are sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.next_probe_at.is_some()
    }

    /// Returns true if the breaker concerns calls to this place.
    pub(super) fn concerns(&self, place: &Place) -> bool {
        self.place == place.service || self.place == place.endpoint
    }
}

/// Returns the breaker that keeps calls from the place. If there are several, the one with the longest wait is
/// returned.
pub(super) fn shut<'a>(breakers: &'a [BreakerStatus], place: &Place) -> Option<&'a BreakerStatus> {
    concerned(breakers, place).max_by_key(|breaker| breaker.wait)
}

/// Returns the open breakers that apply to calls to the place. The breaker of the service counts if the source
/// refuses the account, or if this kind of call has failed itself. A kind of call that has not failed itself is
/// otherwise tried, so that calls that work do not wait for the probes of calls that fail.
fn concerned<'a>(breakers: &'a [BreakerStatus], place: &Place) -> impl Iterator<Item = &'a BreakerStatus> {
    let endpoint_failed = breakers.iter().any(|breaker| breaker.place == place.endpoint);
    breakers.iter().filter(move |breaker| {
        let counts = endpoint_failed || breaker.cause == OutageCause::Account;
        breaker.is_open() && breaker.concerns(place) && counts
    })
}

/// Whether a call may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// The call may be made.
    Free,
    /// The call may be made as a probe, which determines for all processes whether the place works again. The
    /// caller must not retry a probe.
    Probe,
    /// The call may not be made, because this breaker is open.
    Shut(BreakerStatus),
}

/// The breakers of an account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Breakers(BTreeMap<String, Breaker>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Breaker {
    cause: OutageCause,
    reason: String,
    faults: u32,
    call: u64,
    since: i64,
    last: i64,
    #[serde(default)]
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Open {
    /// The time at which the breaker opened, or at which its last probe failed. Calls that were sent before this time
    /// carry no new information.
    set_at: i64,
    /// The number of probes that failed.
    probes: u32,
    /// The time at which the next probe may be made.
    next: i64,
    /// The time until which a probe is under way.
    probing_until: i64,
    /// The first interval of a refused account.
    first: i64,
}

impl Breakers {
    /// Forgets old faults. Times that were recorded by a clock that was ahead count as recorded now.
    pub(super) fn advance(&mut self, now: i64, call_time: i64) {
        for breaker in self.0.values_mut() {
            (breaker.since, breaker.last) = (breaker.since.min(now), breaker.last.min(now));
            if let Some(open) = &mut breaker.open {
                open.set_at = open.set_at.min(now);
                open.next = open.next.min(now + open.first * LONGEST);
                open.probing_until = open.probing_until.min(now + call_time + MARGIN);
            }
        }
        self.0.retain(|_, breaker| now - breaker.last < FORGOTTEN);
    }

    /// Records a fault.
    pub(super) fn fault(&mut self, fault: &CallFault, now: i64) {
        let issued_at = now - millis(fault.issued);
        let endpoint = (!fault.everywhere).then_some(&fault.place.endpoint);
        for name in [&fault.place.service].into_iter().chain(endpoint) {
            let breaker = self.0.entry(name.clone()).or_insert_with(|| Breaker {
                cause: fault.cause,
                reason: String::new(),
                faults: 0,
                call: 0,
                since: now,
                last: now,
                open: None,
            });
            breaker.fault(fault, issued_at, now);
        }
    }

    /// Records that a call to the place, sent at `issued_at`, was answered as expected.
    pub(super) fn worked(&mut self, place: &Place, issued_at: i64, now: i64) {
        for name in [&place.endpoint, &place.service] {
            if self.0.get(name).is_some_and(|breaker| breaker.open.is_none_or(|open| issued_at > open.set_at))
            {
                self.0.remove(name);
            }
        }
        if self.0.contains_key(&place.service) {
            return;
        }
        // The service works. Its other places are therefore probed at once.
        let inside = format!("{} ", place.service);
        for (_, breaker) in self.0.iter_mut().filter(|(name, _)| name.starts_with(&inside)) {
            if let Some(open) = &mut breaker.open {
                open.next = open.next.min(now);
            }
        }
    }

    /// Returns whether a call may be made. A probe reserves its turn: no other caller probes while the probe is
    /// under way.
    pub(super) fn pass(&mut self, place: &Place, now: i64, call_time: i64) -> Passage {
        let status = self.status(now);
        if let Some(shut) = shut(&status, place).filter(|shut| !shut.wait.is_zero()) {
            return Passage::Shut(shut.clone());
        }
        let mut passage = Passage::Free;
        for name in concerned(&status, place).map(|status| &status.place) {
            if let Some(breaker) = self.0.get_mut(name)
                && let Some(open) = &mut breaker.open
            {
                open.probing_until = now + call_time + MARGIN;
                open.next = now + open.interval(breaker.cause, None);
                passage = Passage::Probe;
            }
        }
        passage
    }

    /// Returns every breaker that is open, and every series of faults.
    pub(super) fn status(&self, now: i64) -> Vec<BreakerStatus> {
        self.0.iter().map(|(name, breaker)| breaker.status(name, now)).collect()
    }
}

impl Breaker {
    fn fault(&mut self, fault: &CallFault, issued_at: i64, now: i64) {
        if self.open.is_some_and(|open| issued_at <= open.set_at) {
            return;
        }
        if self.faults == 0 || self.call != fault.call || self.open.is_some() {
            self.faults = self.faults.saturating_add(1);
        }
        (self.call, self.cause, self.last) = (fault.call, fault.cause, now);
        self.reason.clone_from(&fault.reason);
        let probes = self.open.map(|open| open.probes + 1);
        if probes.is_none() && !fault.everywhere && self.faults < IN_A_ROW {
            return;
        }
        let (probes, first) = (probes.unwrap_or(0), millis(fault.first_probe).max(1));
        let open = Open { set_at: now, probes, next: now, probing_until: 0, first };
        let next = now + open.interval(fault.cause, fault.retry_after);
        self.open = Some(Open { next, ..open });
    }

    fn status(&self, name: &str, now: i64) -> BreakerStatus {
        let next = self.open.map(|open| open.next.max(now));
        BreakerStatus {
            place: name.to_owned(),
            cause: self.cause,
            reason: self.reason.clone(),
            faults: self.faults,
            since: moment(self.since),
            next_probe_at: next.map(moment),
            wait: self.open.map(|open| span(open.wait(now))).unwrap_or_default(),
        }
    }
}

impl Open {
    /// Returns how long a caller that asks now has to wait. While a slow probe is under way, callers ask again before
    /// the probe's time has passed.
    fn wait(&self, now: i64) -> i64 {
        match self.next - now {
            wait if wait > 0 => wait,
            _ if self.probing_until > now => (self.probing_until - now).min(self.first / PROBE_RATIO).max(1),
            _ => 0,
        }
    }

    /// Returns the interval after the probes made so far.
    fn interval(&self, cause: OutageCause, advised: Option<Duration>) -> i64 {
        let (first, longest) = match cause {
            OutageCause::Connection => (self.first / PROBE_RATIO, self.first),
            OutageCause::Account => (self.first, self.first * LONGEST),
        };
        let grown = millis(doubled(span(first.max(1)), self.probes, span(longest.max(1))));
        advised.map_or(grown, |advised| grown.max(millis(advised).min(self.first * LONGEST)))
    }
}

#[cfg(test)]
mod tests;
