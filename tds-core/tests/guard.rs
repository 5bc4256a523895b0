//! Properties of the guard under every order, repetition and overlap of observations.
//!
//! A simulated source changes at moments a tenth of a second apart and states its versions in whole seconds.
//! Observations of the source arrive late, twice and in any order. If the guard asks for another read of the record,
//! the test reads the record at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use serde_json::json;
use tds_core::{
    clock::SystemClock,
    memory::MemoryStore,
    mirror::{Applied, Mirror, MirrorSchema},
    queue::Outcome,
    record::{
        Content, EntityType, Fields, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
    },
};
use time::{Duration, OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const SCHEMA: MirrorSchema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };

/// Returns a moment in tenths of a second after the beginning.
fn at(tenths: i64) -> OffsetDateTime {
    datetime!(2020-01-01 00:00 UTC) + Duration::milliseconds(tenths * 100)
}

/// A change of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Set(u8),
    Delete,
}

/// The changes of the source, in the order of their moments.
#[derive(Clone, Debug)]
struct History(BTreeMap<i64, Change>);

impl History {
    /// Returns the state of the source at a moment: content and version, or absence.
    fn at(&self, moment: i64) -> Content {
        match self.0.range(..=moment).next_back() {
            Some((when, Change::Set(content))) => Content::Present(Box::new(record(*content, *when))),
            Some((_, Change::Delete)) | None => Content::Absent,
        }
    }

    fn end(&self) -> i64 {
        self.0.keys().next_back().copied().unwrap_or_default()
    }
}

fn record(content: u8, changed: i64) -> Record {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(json!({"name": content})) else {
        unreachable!("an object");
    };
    Record {
        entity: PRODUCTS,
        id: RecordId::new("1"),
        version: Some(at(changed.div_euclid(10) * 10)),
        fields,
        volatile: Fields::new(),
        children: BTreeMap::new(),
        moves: None,
        cut: BTreeSet::new(),
        raw: Payload::new("{}"),
    }
}

/// An observation of the source: a call that takes a while, or a push that arrives later.
#[derive(Clone, Copy, Debug)]
enum Observation {
    Call { began: i64, seen_after: i64, ended_after: i64 },
    Push { sent: i64, arrived_after: i64 },
}

impl Observation {
    fn read(self, history: &History) -> Option<Read> {
        let (moment, shape, observed) = match self {
            Self::Call { began, seen_after, ended_after } => {
                let interval = Interval { began: at(began), ended: at(began + seen_after + ended_after) };
                (began + seen_after, Shape::Detail, Observed::Call(interval))
            }
            Self::Push { sent, arrived_after } => {
                (sent, Shape::Webhook, Observed::Push(at(sent + arrived_after)))
            }
        };
        let content = history.at(moment);
        // A pushed deletion is only a request to read the record, so the test makes no read of it.
        let pushes_nothing = content == Content::Absent && shape == Shape::Webhook;
        (!pushes_nothing).then(|| read(shape, observed, content))
    }
}

fn read(shape: Shape, observed: Observed, content: Content) -> Read {
    let key = RecordKey::new(PRODUCTS, RecordId::new("1"));
    Read { key, shape, observed, content, listed: None, follow: None, cause: None }
}

fn history() -> impl Strategy<Value = History> {
    let change = prop_oneof![6 => (0..3u8).prop_map(Change::Set), 1 => Just(Change::Delete)];
    prop::collection::btree_map(1..40i64, change, 1..8).prop_map(History)
}

fn observation() -> impl Strategy<Value = Observation> {
    prop_oneof![
        (0..45i64, 0..8i64, 0..8i64).prop_map(|(began, seen_after, ended_after)| Observation::Call {
            began,
            seen_after,
            ended_after
        }),
        (0..45i64, 0..20i64).prop_map(|(sent, arrived_after)| Observation::Push { sent, arrived_after }),
    ]
}

/// Applies the reads in this order, and returns what the target shows in the end.
fn replay(history: &History, reads: &[Read]) -> Content {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        // All reads are applied after the last observation has arrived, and repeated reads begin even later.
        let mut now = 100;
        for seen in reads {
            let mut next = Some(seen.clone());
            for _ in 0..4 {
                let Some(read_now) = next.take() else { break };
                let result = store.apply(&SCHEMA, vec![read_now]).await.pop();
                if let Some(Ok(Applied::Reread(_))) = result {
                    now += 2;
                    let interval = Interval { began: at(now), ended: at(now + 1) };
                    next = Some(read(Shape::Detail, Observed::Call(interval), history.at(now)));
                }
            }
            assert!(next.is_none(), "repeated reads must end");
        }
    });
    match store.row(&PRODUCTS, &RecordId::new("1")) {
        Some(row) if row.deleted_at.is_none() => {
            let content = row.fields["name"].as_u64().and_then(|content| u8::try_from(content).ok());
            Content::Present(Box::new(record(content.expect("a content"), 0)))
        }
        _ => Content::Absent,
    }
}

fn name(content: &Content) -> Option<String> {
    match content {
        Content::Present(record) => Some(record.fields["name"].to_string()),
        Content::Absent => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_last_state_stands_in_whatever_order_observations_arrive(
        history in history(),
        observations in prop::collection::vec(observation(), 0..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        last in (0..5i64, 0..5i64, 0..5i64),
        place in any::<prop::sample::Index>(),
    ) {
        let mut seen: Vec<Read> =
            observations.iter().filter_map(|observation| observation.read(&history)).collect();
        // Some call saw the last state. The read of this call may arrive at any position.
        let (wait, seen_after, ended_after) = last;
        let last = Observation::Call { began: history.end() + wait, seen_after, ended_after };
        seen.extend(last.read(&history));
        // Reads are repeated and put into a new order.
        let mut reads: Vec<Read> = order.iter().map(|index| index.get(&seen).clone()).collect();
        for one in seen {
            let index = if reads.is_empty() { 0 } else { place.index(reads.len()) };
            reads.insert(index, one);
        }
        let target = replay(&history, &reads);
        prop_assert_eq!(name(&target), name(&history.at(history.end())));
    }
}

#[test]
fn a_late_push_does_not_override_a_call_that_saw_the_newer_state() {
    // Both states carry the version of second 0. The push was sent first and arrived last.
    let history = History(BTreeMap::from([(1, Change::Set(1)), (4, Change::Set(2))]));
    let push = Observation::Push { sent: 1, arrived_after: 8 }.read(&history).expect("a state");
    let call = Observation::Call { began: 5, seen_after: 0, ended_after: 1 }.read(&history).expect("a state");
    assert_eq!(name(&replay(&history, &[push, call])).as_deref(), Some("2"));
}

#[test]
fn a_duplicate_changes_nothing() {
    let history = History(BTreeMap::from([(1, Change::Set(1))]));
    let call = Observation::Call { began: 5, seen_after: 0, ended_after: 1 }.read(&history).expect("a state");
    let store = MemoryStore::new(Arc::new(SystemClock));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let results = runtime.block_on(async {
        [store.apply(&SCHEMA, vec![call.clone()]).await.pop(), store.apply(&SCHEMA, vec![call]).await.pop()]
    });
    let outcomes = results.map(|result| result.expect("an answer").expect("applied"));
    assert_eq!(outcomes, [Applied::Done(Outcome::Applied), Applied::Done(Outcome::Unchanged)]);
}
