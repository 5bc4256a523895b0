//! Breakers: what fails for everybody is not tried by everybody.
//!
//! A source has places that fail apart from each other: a service (a product, a base address), and in it each kind of
//! call. Faults in a row open the breaker of a place for all processes. While it is open no call is made there but a
//! single probing one now and then, at growing intervals; the first call that is let in closes it for all.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{millis, span};

/// So many faults in a row, of calls that differ, open a breaker.
const IN_A_ROW: u32 = 3;
/// The way to the source is probed that many times as often as an account that is refused.
const WAY: i64 = 12;
/// The longest interval, in multiples of the first one of an account that is refused: 15 minutes of one minute.
const LONGEST: i64 = 15;
/// A row of faults, or a breaker that nothing probes, is forgotten after this, in milliseconds.
const FORGOTTEN: i64 = 3_600_000;
/// A probe may take this much longer than its call, in milliseconds.
const MARGIN: i64 = 5_000;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The service: what works or fails as a whole.
    pub service: String,
    /// The kind of call in it. It begins with the service and a blank.
    pub endpoint: String,
}

/// What a fault is about that is not about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageCause {
    /// The source, or the way to it: it does not answer, or something else does.
    Way,
    /// The account or its organization is refused. A person has to look.
    Account,
}

impl OutageCause {
    /// The name as it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Way => "way",
            Self::Account => "account",
        }
    }
}

/// A call failed by something that is no matter of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFault {
    /// Where it went.
    pub place: Place,
    /// What it is about.
    pub cause: OutageCause,
    /// The answer itself says that it holds for the whole service: one is enough.
    pub everywhere: bool,
    /// Tells calls apart: one record that fails again and again is no row.
    pub call: u64,
    /// How long ago the call was let go.
    pub issued: Duration,
    /// The source's own wish for the wait.
    pub retry_after: Option<Duration>,
    /// After this long an account that is refused is probed for the first time.
    pub first_probe: Duration,
    /// What happened, for a person.
    pub reason: String,
}

/// A breaker that is open, or a row of faults that may open it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerStatus {
    /// The service, or the kind of call in it.
    pub place: String,
    /// What the faults are about.
    pub cause: OutageCause,
    /// The last fault in words.
    pub reason: String,
    /// Faults in a row.
    pub faults: u32,
    /// When the first of the row was seen, on the store's clock.
    pub since: OffsetDateTime,
    /// When the next probing call may be made; `None`: the breaker is not open, and every call may.
    pub next_probe_at: Option<OffsetDateTime>,
    /// How long it is until then.
    pub wait: Duration,
}

impl BreakerStatus {
    /// True where nothing is sent but probes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.next_probe_at.is_some()
    }

    /// True where a service that is down shuts a kind of call too. One that has not failed itself is tried, so that
    /// what works is not kept waiting by the probes of what does not.
    pub(super) fn shuts(&self, endpoint_failed: bool) -> bool {
        shuts(self.cause, endpoint_failed)
    }

    /// True where it is about calls to this place.
    pub(super) fn concerns(&self, place: &Place) -> bool {
        self.place == place.service || self.place == place.endpoint
    }
}

/// Whether a call may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It may.
    Free,
    /// It may, and finds out for all whether the place works again. It is not to be repeated by itself.
    Probe,
    /// It may not.
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
    /// Calls that were let go before this tell nothing new.
    set_at: i64,
    /// Probes that failed.
    probes: u32,
    /// When the next probe may be made.
    next: i64,
    /// Until then a probe is under way.
    probing_until: i64,
    /// The first interval of an account that is refused.
    first: i64,
}

impl Breakers {
    /// Forgets what is long ago. What was noted by a clock that was ahead counts as noted now.
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

    /// Takes note of a fault.
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

    /// A call to the place that was let go at `issued_at` was answered as it should be.
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
        // The service works: its other places are probed at once.
        let inside = format!("{} ", place.service);
        for (_, breaker) in self.0.iter_mut().filter(|(name, _)| name.starts_with(&inside)) {
            if let Some(open) = &mut breaker.open {
                open.next = open.next.min(now);
            }
        }
    }

    /// Whether a call may be made. A probe takes its turn: nobody else probes while it is under way.
    pub(super) fn pass(&mut self, place: &Place, now: i64, call_time: i64) -> Passage {
        let failed = self.0.contains_key(&place.endpoint);
        let service = Some(&place.service)
            .filter(|service| self.0.get(*service).is_some_and(|breaker| shuts(breaker.cause, failed)));
        let names: Vec<&String> = service.into_iter().chain([&place.endpoint]).collect();
        let shut = names.iter().filter_map(|name| {
            let breaker = self.0.get(*name)?;
            breaker.open.is_some_and(|open| !open.is_due(now)).then(|| breaker.status(name, now))
        });
        if let Some(shut) = shut.max_by_key(|status| status.wait) {
            return Passage::Shut(shut);
        }
        let mut passage = Passage::Free;
        for name in names {
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

    /// Every breaker that is open, and every row of faults.
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
    fn is_due(&self, now: i64) -> bool {
        self.next <= now && self.probing_until <= now
    }

    /// How long somebody waits who comes now. Where a probe takes its time it is asked again before it must have ended.
    fn wait(&self, now: i64) -> i64 {
        match self.next - now {
            wait if wait > 0 => wait,
            _ if self.probing_until > now => (self.probing_until - now).min(self.first / WAY).max(1),
            _ => 0,
        }
    }

    /// The interval after so many probes.
    fn interval(&self, cause: OutageCause, advised: Option<Duration>) -> i64 {
        let (first, longest) = match cause {
            OutageCause::Way => (self.first / WAY, self.first),
            OutageCause::Account => (self.first, self.first * LONGEST),
        };
        let grown =
            first.max(1).saturating_mul(2_i64.saturating_pow(self.probes.min(20))).min(longest.max(1));
        advised.map_or(grown, |advised| grown.max(millis(advised).min(self.first * LONGEST)))
    }
}

fn shuts(service: OutageCause, endpoint_failed: bool) -> bool {
    service == OutageCause::Account || endpoint_failed
}

fn moment(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
