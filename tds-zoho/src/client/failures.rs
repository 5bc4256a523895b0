//! Decides whether a fault of the connection to Zoho is really the fault of a single record.
//!
//! Zoho answers HTTP 500 to some records permanently, and to all records in an outage. A failing call is itself
//! blamed if the same kind of call worked for other records since its previous failure, and if fewer than two
//! other calls fail with it. If more other calls fail too, the call is blamed only after a longer time. If no
//! other call is made, a record that could be read before is read again.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Mutex,
    time::Duration,
};

use tds_core::{lock::lock, record::Payload, retry::doubled};
use tokio::time::Instant;

use crate::answer::Call;

/// The time for which a failed call is remembered.
const REMEMBERED: Duration = Duration::from_secs(1_800);
/// If at least this number of other calls fail too, no call is blamed unless it has failed for [`LONG`].
const OTHERS: usize = 2;
const LONG: Duration = Duration::from_secs(600);
/// If no other call of its kind is known, a call is blamed once it has failed for this time while other calls
/// worked.
const ALONE: Duration = Duration::from_secs(3_600);
/// The first wait of a call that failed.
const SHORTEST: Duration = Duration::from_secs(2);

/// What is known about each kind of call.
#[derive(Default)]
pub(super) struct Failures {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The time at which any call last worked.
    worked: Option<Instant>,
    endpoints: HashMap<String, Endpoint>,
}

#[derive(Default)]
struct Endpoint {
    worked: Option<Instant>,
    /// The last call for a single record that worked.
    witness: Option<Call>,
    failing: HashMap<u64, Failing>,
}

#[derive(Clone, Copy)]
struct Failing {
    times: u32,
    first: Instant,
    last: Instant,
}

/// The meaning of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blame {
    /// True if the record itself is at fault, as far as can be determined.
    pub(super) on_the_record: bool,
    /// The number of consecutive failures of the call in the last half hour.
    pub(super) times: u32,
}

impl Blame {
    /// Returns how long the call waits if no other rule determines the wait: 2, 4, 8 … seconds, `longest` at
    /// most.
    pub(super) fn wait(self, longest: Duration) -> Duration {
        doubled(SHORTEST, self.times.saturating_sub(1), longest)
    }
}

impl Failures {
    /// Records that the call was answered as expected.
    pub(super) fn worked(&self, call: &Call) {
        let (now, place) = (Instant::now(), call.place());
        let mut known = lock(&self.known);
        known.worked = Some(now);
        let endpoint = known.endpoints.entry(place.endpoint).or_default();
        endpoint.worked = Some(now);
        endpoint.failing.remove(&identity(call));
        if is_for_one_record(call) {
            endpoint.witness = Some(call.clone());
        }
    }

    /// Returns another call of the same kind, to be made before a repeated failure of this call is judged. The
    /// returned call worked before. There is no such call if one of the kind has worked since this call failed.
    pub(super) fn witness(&self, call: &Call) -> Option<Call> {
        let known = lock(&self.known);
        let endpoint = known.endpoints.get(&call.place().endpoint)?;
        let before = endpoint.failing.get(&identity(call))?;
        let is_silent = endpoint.worked < Some(before.last);
        let witness = endpoint.witness.as_ref().filter(|witness| identity(witness) != identity(call));
        witness
            .filter(|_| is_silent && is_for_one_record(call))
            .map(|witness| Call { lane: call.lane, ..witness.clone() })
    }

    /// Records that the call failed.
    pub(super) fn failed(&self, call: &Call) -> Blame {
        let (now, call_id) = (Instant::now(), identity(call));
        let mut known = lock(&self.known);
        let anything_worked = known.worked;
        let endpoint = known.endpoints.entry(call.place().endpoint).or_default();
        endpoint.failing.retain(|_, failing| now.duration_since(failing.last) < REMEMBERED);
        let before = endpoint.failing.get(&call_id).copied();
        let others = endpoint.failing.len() - usize::from(before.is_some());
        let on_the_record = before.is_some_and(|before| {
            let lasts = now.duration_since(before.first);
            let is_known = endpoint.witness.as_ref().is_some_and(|witness| identity(witness) != call_id);
            endpoint.worked > Some(before.last) && (others < OTHERS || lasts >= LONG)
                || !is_known && anything_worked > Some(before.last) && lasts >= ALONE
        });
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let first = before.map_or(now, |before| before.first);
        endpoint.failing.insert(call_id, Failing { times, first, last: now });
        Blame { on_the_record, times }
    }
}

/// Returns true if the call reads a single record. A failing list says nothing about a record, and a call that writes
/// is never repeated to find something out.
fn is_for_one_record(call: &Call) -> bool {
    call.write.is_none() && !call.is_for_many_items() && call.endpoint().contains("{id}")
}

/// Returns a number that distinguishes calls of a kind. All calls for many items at once have the same number:
/// if both halves of a set fail, the second failure says nothing new.
pub(super) fn identity(call: &Call) -> u64 {
    let mut hasher = DefaultHasher::new();
    call.path.hash(&mut hasher);
    if !call.is_for_many_items() {
        call.query.hash(&mut hasher);
    }
    // Creates of different records have the same path.
    if let Some(write) = &call.write {
        (write.method.as_str(), write.body.as_ref().map(Payload::as_str)).hash(&mut hasher);
    }
    // The number is stored in a JSON document, whose numbers are signed.
    hasher.finish() >> 1
}

#[cfg(test)]
mod tests {
    use tds_core::queue::Lane;

    use super::*;
    use crate::answer::Api;

    fn call(path: &str) -> Call {
        let scope = Api::Books.settings();
        Call {
            api: Api::Books,
            scope,
            path: path.to_owned(),
            query: Vec::new(),
            lane: Lane::Full,
            entity: None,
            write: None,
        }
    }

    async fn pass() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_is_blamed_only_where_others_worked_since_it_failed_before() {
        let failures = Failures::default();
        assert!(!failures.failed(&call("/bills/1")).on_the_record);
        pass().await;
        assert!(!failures.failed(&call("/bills/1")).on_the_record, "nothing else was asked for");
        failures.worked(&call("/bills"));
        pass().await;
        assert!(!failures.failed(&call("/bills/1")).on_the_record, "the list is another kind of call");
        pass().await;
        failures.worked(&call("/bills/2"));
        assert!(failures.failed(&call("/bills/1")).on_the_record);
    }

    #[tokio::test(start_paused = true)]
    async fn where_several_fail_none_is_blamed() {
        let failures = Failures::default();
        for _ in 0..20 {
            for n in 1..=3 {
                pass().await;
                failures.worked(&call("/bills/9"));
                let blame = failures.failed(&call(&format!("/bills/{n}")));
                assert!(n < 3 || !blame.on_the_record, "{n}: {blame:?}");
            }
        }
        assert!(!failures.failed(&call("/bills/1")).on_the_record);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(failures.failed(&call("/bills/1")).times, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_that_fail_each_is_blamed_once_it_failed_for_long() {
        let failures = Failures::default();
        for _ in 0..LONG.as_secs() {
            for n in 1..=4 {
                failures.failed(&call(&format!("/bills/{n}")));
            }
            pass().await;
        }
        assert!(!failures.failed(&call("/bills/1")).on_the_record, "nothing worked meanwhile");
        pass().await;
        failures.worked(&call("/bills/9"));
        for n in 1..=4 {
            assert!(failures.failed(&call(&format!("/bills/{n}"))).on_the_record, "{n}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_else_is_asked_for_a_record_that_could_be_read_is_the_witness() {
        let failures = Failures::default();
        assert!(failures.witness(&call("/bills/1")).is_none(), "it has not failed yet");
        failures.failed(&call("/bills/1"));
        assert!(failures.witness(&call("/bills/1")).is_none(), "none is known");
        failures.worked(&call("/bills"));
        failures.worked(&call("/bills/2"));
        failures.worked(&call("/invoices/3"));
        assert!(failures.witness(&call("/bills/4")).is_none(), "it has not failed yet");
        pass().await;
        failures.failed(&call("/bills/1"));
        let witness = failures.witness(&call("/bills/1")).expect("a witness");
        assert_eq!(witness.path, "/bills/2");
        pass().await;
        failures.worked(&witness);
        assert!(failures.witness(&call("/bills/1")).is_none(), "it was heard");
        assert!(failures.failed(&call("/bills/1")).on_the_record);
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_witness_a_record_is_blamed_after_an_hour_in_which_other_calls_worked() {
        let failures = Failures::default();
        for _ in 0..60 {
            assert!(!failures.failed(&call("/bills/1")).on_the_record);
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert!(!failures.failed(&call("/bills/1")).on_the_record, "nothing worked");
        pass().await;
        failures.worked(&call("/bills"));
        assert!(failures.failed(&call("/bills/1")).on_the_record);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_alone_waits_longer_and_longer() {
        let failures = Failures::default();
        let longest = Duration::from_secs(60);
        let waits: Vec<u64> =
            (0..7).map(|_| failures.failed(&call("/bills/1")).wait(longest).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
    }
}
