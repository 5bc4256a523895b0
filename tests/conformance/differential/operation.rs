//! The operations on a store.

use std::time::Duration;

use proptest::{option, prelude::*, sample::Index};
use tds_core::{
    queue::{Direction, ItemStatus, Lane, Work},
    record::{EntityType, Interval, Observed, Payload, Shape, SourcePayload},
};
use time::{OffsetDateTime, macros::datetime};

/// The entity types of a history.
pub(super) const ENTITIES: [EntityType; 2] =
    [EntityType::from_static("customers"), EntityType::from_static("vendors")];
/// The number of records of each entity type.
pub(super) const RECORDS: u8 = 3;
/// A duration that is longer than any history takes.
const LONG: Duration = Duration::from_secs(3600);

/// A record, by entity type and number.
pub(super) type Record = (usize, u8);

/// One step of a history. Each `Index` chooses among the existing events, claims, leases or runs.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// A delivery. A delivery whose number was already used is a duplicate.
    Accept {
        delivery: u8,
        work: Vec<(Record, Work)>,
    },
    Replay {
        event: Index,
        work: Vec<(Record, Work)>,
    },
    Enqueue {
        direction: Direction,
        record: Record,
        lane: Lane,
        work: Work,
    },
    Claim {
        up_to: Lane,
        lease: Duration,
    },
    Settle {
        claim: Index,
        end: End,
    },
    Retry {
        status: Option<ItemStatus>,
        entity: Option<usize>,
    },
    Discard {
        status: Option<ItemStatus>,
        entity: Option<usize>,
    },
    Pause {
        entity: usize,
        paused: bool,
    },
    CreateRun {
        entity: usize,
    },
    ClaimRun {
        lease: Duration,
    },
    CommitPage {
        lease: Index,
        listed: Vec<u8>,
        queued: Vec<u8>,
        last: bool,
    },
    HoldDeletions {
        lease: Index,
        held: Vec<u8>,
    },
    ConfirmDeletions {
        run: Index,
    },
    FailRun {
        lease: Index,
    },
    CancelRun {
        run: Index,
    },
    ResumeRun {
        run: Index,
    },
}

/// The way in which a claim ends.
#[derive(Clone, Debug)]
pub(super) enum End {
    Applied,
    Stale,
    Retry(Duration),
    Release { after: Duration, fetch: bool, with_reason: bool },
    DeadLetter,
    Redirect(usize, Work),
}

pub(super) fn at(seconds: i64) -> OffsetDateTime {
    datetime!(2020-01-01 00:00 UTC) + time::Duration::seconds(seconds)
}

fn work() -> impl Strategy<Value = Work> {
    let observed = prop_oneof![
        (0..6i64).prop_map(|when| Observed::Push(at(when))),
        (0..6i64).prop_map(|began| Observed::Call(Interval { began: at(began), ended: at(began + 1) })),
    ];
    let shape = prop_oneof![Just(Shape::List), Just(Shape::Detail), Just(Shape::Webhook)];
    let payload = (shape, observed, 0..2u8).prop_map(|(shape, observed, content)| SourcePayload {
        shape,
        observed,
        json: Payload::new(content.to_string()),
    });
    (option::weighted(0.8, (0..3i64).prop_map(at)), option::weighted(0.8, payload), any::<bool>())
        .prop_map(|(version, payload, recheck)| Work { version, payload, recheck })
}

fn record() -> impl Strategy<Value = Record> {
    (0..ENTITIES.len(), 0..RECORDS)
}

/// Generates work for one or two records, each once, in the order of the records.
fn works() -> impl Strategy<Value = Vec<(Record, Work)>> {
    prop::collection::btree_map(record(), work(), 1..3).prop_map(|works| works.into_iter().collect())
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![3 => Just(Direction::Inbound), 1 => Just(Direction::Outbound)]
}

fn lane() -> impl Strategy<Value = Lane> {
    prop::sample::select(&Lane::ALL[..])
}

/// Generates a lease that runs out at once or never.
fn lease() -> impl Strategy<Value = Duration> {
    prop_oneof![1 => Just(Duration::ZERO), 4 => Just(LONG)]
}

fn delay() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(LONG)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Applied),
        1 => Just(End::Stale),
        2 => delay().prop_map(End::Retry),
        2 => (delay(), any::<bool>(), any::<bool>())
            .prop_map(|(after, fetch, with_reason)| End::Release { after, fetch, with_reason }),
        3 => Just(End::DeadLetter),
        1 => (0..ENTITIES.len(), work()).prop_map(|(entity, work)| End::Redirect(entity, work)),
    ]
}

fn some_ids() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::btree_set(0..RECORDS, 0..4).prop_map(|ids| ids.into_iter().collect())
}

fn status() -> impl Strategy<Value = Option<ItemStatus>> {
    option::of(prop::sample::select(&ItemStatus::ALL[..]))
}

/// Generates any step.
pub(super) fn operation() -> impl Strategy<Value = Operation> {
    let entity = || 0..ENTITIES.len();
    let filter = || (status(), option::of(entity()));
    let index = any::<Index>;
    prop_oneof![
        6 => (0..12u8, works()).prop_map(|(delivery, work)| Operation::Accept { delivery, work }),
        1 => (index(), works()).prop_map(|(event, work)| Operation::Replay { event, work }),
        4 => (direction(), record(), lane(), work())
            .prop_map(|(direction, record, lane, work)| Operation::Enqueue { direction, record, lane, work }),
        6 => (prop_oneof![1 => lane(), 3 => Just(Lane::Verify)], lease())
            .prop_map(|(up_to, lease)| Operation::Claim { up_to, lease }),
        8 => (index(), end()).prop_map(|(claim, end)| Operation::Settle { claim, end }),
        2 => filter().prop_map(|(status, entity)| Operation::Retry { status, entity }),
        1 => filter().prop_map(|(status, entity)| Operation::Discard { status, entity }),
        1 => (entity(), any::<bool>()).prop_map(|(entity, paused)| Operation::Pause { entity, paused }),
        2 => entity().prop_map(|entity| Operation::CreateRun { entity }),
        3 => lease().prop_map(|lease| Operation::ClaimRun { lease }),
        4 => (index(), some_ids(), some_ids(), any::<bool>())
            .prop_map(|(lease, listed, queued, last)| Operation::CommitPage { lease, listed, queued, last }),
        1 => (index(), some_ids()).prop_map(|(lease, held)| Operation::HoldDeletions { lease, held }),
        1 => index().prop_map(|run| Operation::ConfirmDeletions { run }),
        1 => index().prop_map(|lease| Operation::FailRun { lease }),
        1 => index().prop_map(|run| Operation::CancelRun { run }),
        2 => index().prop_map(|run| Operation::ResumeRun { run }),
    ]
}
