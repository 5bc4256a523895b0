//! Properties of the guard with list rows, details and pushed bodies of one record, in every order, repetition and
//! overlap.
//!
//! The simulated record has a column that every shape shows, a column that list rows do not show, and a column that
//! changes without a new version. The test handles observations as the mirror handler does: it reads the whole record
//! after a list row that announces a newer version, and wherever the guard cannot decide.

#![cfg(feature = "testkit")]

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::json;
use tds_core::{
    clock::SystemClock,
    guard::needs_detail,
    memory::MemoryStore,
    mirror::{Applied, Mirror, MirrorSchema},
    record::{Content, EntityType, Interval, Observed, Read, RecordBuilder, RecordId, Shape},
};
use time::{Duration, OffsetDateTime, macros::datetime};

const INVOICES: EntityType = EntityType::from_static("invoices");
const SCHEMA: MirrorSchema = MirrorSchema { entity: INVOICES, head: Some("invoices"), children: &[] };

/// Returns a moment in tenths of a second after the beginning.
fn at(tenths: i64) -> OffsetDateTime {
    datetime!(2020-01-01 00:00 UTC) + Duration::milliseconds(tenths * 100)
}

/// A change of the source.
#[derive(Clone, Copy, Debug)]
enum Change {
    Name(u8),
    Note(u8),
    /// A payment, which gives the record no new version.
    Balance(u8),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Columns {
    name: u8,
    note: u8,
    balance: u8,
}

#[derive(Clone, Debug)]
struct History(BTreeMap<i64, Change>);

impl History {
    /// Returns the columns at a moment, and the second of the last change that gave the record a new version.
    fn at(&self, moment: i64) -> (Columns, i64) {
        let (mut columns, mut version) = (Columns::default(), 0);
        for (when, change) in self.0.range(..=moment) {
            match change {
                Change::Name(name) => columns.name = *name,
                Change::Note(note) => columns.note = *note,
                Change::Balance(balance) => columns.balance = *balance,
            }
            if !matches!(change, Change::Balance(_)) {
                version = when.div_euclid(10) * 10;
            }
        }
        (columns, version)
    }

    fn end(&self) -> i64 {
        self.0.keys().next_back().copied().unwrap_or_default()
    }

    fn read(&self, moment: i64, shape: Shape, observed: Observed) -> Read {
        let (columns, version) = self.at(moment);
        let shown = match shape {
            Shape::List => json!({"name": columns.name}),
            Shape::Detail | Shape::Webhook => json!({"name": columns.name, "note": columns.note}),
        };
        RecordBuilder::new(&INVOICES, "1")
            .version(at(version))
            .fields(shown)
            .volatile(json!({"balance": columns.balance}))
            .seen(shape, observed)
    }
}

/// An observation of the source: a call that takes a while, or a push that arrives later.
#[derive(Clone, Copy, Debug)]
enum Observation {
    Call { shape: Shape, began: i64, seen_after: i64, ended_after: i64 },
    Push { sent: i64, arrived_after: i64 },
}

impl Observation {
    fn read(self, history: &History) -> Read {
        match self {
            Self::Call { shape, began, seen_after, ended_after } => {
                let interval = Interval { began: at(began), ended: at(began + seen_after + ended_after) };
                history.read(began + seen_after, shape, Observed::Call(interval))
            }
            Self::Push { sent, arrived_after } => {
                history.read(sent, Shape::Webhook, Observed::Push(at(sent + arrived_after)))
            }
        }
    }
}

fn history() -> impl Strategy<Value = History> {
    let change = prop_oneof![
        (0..3u8).prop_map(Change::Name),
        (0..3u8).prop_map(Change::Note),
        (0..3u8).prop_map(Change::Balance),
    ];
    prop::collection::btree_map(1..40i64, change, 1..8).prop_map(History)
}

fn observation() -> impl Strategy<Value = Observation> {
    let call = |shape| {
        (0..45i64, 0..8i64, 0..8i64).prop_map(move |(began, seen_after, ended_after)| Observation::Call {
            shape,
            began,
            seen_after,
            ended_after,
        })
    };
    prop_oneof![
        call(Shape::List),
        call(Shape::Detail),
        // A pushed body is sent when the record changes. Afterwards its version tells its age, and its arrival does
        // not.
        (0..45i64, 0..20i64).prop_map(|(sent, arrived_after)| Observation::Push { sent, arrived_after }),
    ]
}

/// Handles the observations in this order, and returns the columns that the target shows in the end.
async fn replay(history: &History, reads: &[Read]) -> Columns {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let id = RecordId::new("1");
    // All observations are handled after the last one has arrived, and the reads that follow from them begin even
    // later.
    let mut now = 100;
    for seen in reads {
        let mut next = Some(seen.clone());
        for _ in 0..4 {
            let Some(mut read) = next.take() else { break };
            let state = store.states(&INVOICES, std::slice::from_ref(&id)).await.expect("states").remove(&id);
            let listed = match &read.content {
                Content::Present(record) => record.version,
                Content::Absent => None,
            };
            if read.shape == Shape::List && needs_detail(state.as_ref(), listed, at(now), None) {
                read = whole(history, &mut now);
            }
            if let Some(Ok(Applied::Reread(_))) = store.apply(&SCHEMA, vec![read]).await.pop() {
                next = Some(whole(history, &mut now));
            }
        }
        assert!(next.is_none(), "repeated reads must end");
    }
    let row = store.row(&INVOICES, &id).expect("a row");
    let column =
        |name: &str| row.fields[name].as_u64().and_then(|it| u8::try_from(it).ok()).expect("a number");
    Columns { name: column("name"), note: column("note"), balance: column("balance") }
}

/// Returns a read of the whole record that begins now.
fn whole(history: &History, now: &mut i64) -> Read {
    *now += 2;
    history.read(*now, Shape::Detail, Observed::Call(Interval { began: at(*now), ended: at(*now + 1) }))
}

fn run(history: &History, reads: &[Read]) -> Columns {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(replay(history, reads))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_column_ends_as_the_last_state_of_the_source_in_whatever_order_and_shape_it_is_observed(
        history in history(),
        observations in prop::collection::vec(observation(), 0..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        last in (0..5i64, 0..5i64, 0..5i64),
        place in any::<prop::sample::Index>(),
    ) {
        let mut seen: Vec<Read> =
            observations.iter().map(|observation| observation.read(&history)).collect();
        // Some call for the whole record saw the last state. The read of this call may arrive at any position.
        let (wait, seen_after, ended_after) = last;
        let began = history.end() + wait;
        seen.push(Observation::Call { shape: Shape::Detail, began, seen_after, ended_after }.read(&history));
        // Reads are repeated and put into a new order.
        let mut reads: Vec<Read> = order.iter().map(|index| index.get(&seen).clone()).collect();
        for one in seen {
            let index = if reads.is_empty() { 0 } else { place.index(reads.len()) };
            reads.insert(index, one);
        }
        prop_assert_eq!(run(&history, &reads), history.at(history.end()).0);
    }
}

#[test]
fn a_push_that_arrives_late_does_not_hide_a_payment_that_a_call_saw() {
    let history = History(BTreeMap::from([(1, Change::Name(1)), (12, Change::Balance(2))]));
    let push = Observation::Push { sent: 2, arrived_after: 30 }.read(&history);
    let call =
        Observation::Call { shape: Shape::Detail, began: 15, seen_after: 0, ended_after: 1 }.read(&history);
    for reads in [[push.clone(), call.clone()], [call, push]] {
        assert_eq!(run(&history, &reads), Columns { name: 1, note: 0, balance: 2 });
    }
}
