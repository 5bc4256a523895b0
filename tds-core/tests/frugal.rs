//! Tests of the work that waits while calls have to be saved: reads for pushed events, and schedules.
#![cfg(feature = "testkit")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tds_core::{
    clock::Clock,
    engine::{Engine, ScheduleSpec, SchedulerSettings, Stores},
    error::Result,
    handler::{BatchHandler, FollowSettings, Handled, MirrorHandler},
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::{
        ClaimRequest, Claimed, Lane, NewItem, Outcome, Queue, Settle, Settlement, Waiter, Work, WorkerId,
    },
    record::{EntityType, RecordBuilder, RecordId, RecordKey},
    runs::{RunFilter, RunType, SyncRunOperator},
    source::SourceProfile,
    testkit::{ManualClock, ScriptedSource},
};
use time::{OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const BILLS: EntityType = EntityType::from_static("bills");
const NOW: OffsetDateTime = datetime!(2026-11-01 12:00:10 UTC);

struct Setup {
    clock: ManualClock,
    store: MemoryStore,
    source: Arc<ScriptedSource>,
    handler: MirrorHandler,
}

/// Returns a setup in which reads for pushed events wait for up to a minute. `records_per_call` records share a call.
fn setup(records_per_call: usize) -> Setup {
    let clock = ManualClock::new(NOW);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
    let profile = SourceProfile {
        fetch_batch: 10,
        records_per_call,
        records_per_page: 200,
        derives_late: Some(Duration::from_secs(60)),
        ..SourceProfile::default()
    };
    let source = Arc::new(ScriptedSource::new(schema, shared.clone()).with_profile(profile));
    for id in ["1", "2", "3"] {
        let changed = datetime!(2026-11-01 11:00 UTC);
        source.put(RecordBuilder::new(&PRODUCTS, id).version(changed).fields(json!({"a": id})));
    }
    source.save_calls(Duration::from_secs(60));
    let store = MemoryStore::new(shared.clone());
    let handler = MirrorHandler::new(source.clone(), Arc::new(store.clone()), shared);
    Setup { clock, store, source, handler }
}

impl Setup {
    async fn queue(&self, id: &str, lane: Lane, work: Work) {
        let key = RecordKey::new(PRODUCTS, RecordId::new(id));
        let item = NewItem { key: key.into(), lane, work, waiter: Waiter::Operator };
        self.store.enqueue(vec![item]).await.expect("queued");
    }

    async fn claim(&self) -> Vec<Claimed> {
        let (worker, lease) = (WorkerId("test".to_owned()), Duration::from_secs(3_600));
        let request = ClaimRequest::new(worker, 10, lease);
        self.store.claim(&request).await.expect("claimed")
    }

    async fn handle(&self) -> Vec<Result<Handled>> {
        self.handler.handle_batch(&self.claim().await).await
    }
}

fn waits(handled: &Result<Handled>) -> Option<Duration> {
    match handled {
        Ok(Handled::Retry { after, .. }) => Some(*after),
        _ => None,
    }
}

#[tokio::test]
async fn a_read_for_a_pushed_event_waits_for_the_end_of_its_slot_and_no_longer() {
    let setup = setup(1);
    setup.queue("1", Lane::Webhook, Work::fetch()).await;
    let items = setup.claim().await;
    assert_eq!(waits(&setup.handler.handle_batch(&items).await[0]), Some(Duration::from_secs(50)));
    assert_eq!(setup.source.fetches(), 0);
    setup.clock.advance(Duration::from_secs(50));
    assert!(matches!(setup.handler.handle_batch(&items).await[0], Ok(Handled::Done(Outcome::Applied))));
    assert_eq!(setup.source.fetches(), 1);
}

#[tokio::test]
async fn derived_reads_wait_and_are_repeated_only_while_calls_suffice() {
    let slot = Duration::from_secs(2);
    let settings = FollowSettings { slot, entities: Arc::default() };
    let mut setup = setup(1);
    setup.handler = setup.handler.following(Some(settings));
    setup.queue("1", Lane::Derived, Work::fetch()).await;
    let items = setup.claim().await;
    assert_eq!(waits(&setup.handler.handle_batch(&items).await[0]), Some(Duration::from_secs(50)));
    setup.clock.advance(Duration::from_secs(50));
    let second_looks = async || {
        let claimed = ClaimRequest::new(WorkerId("test".to_owned()), 10, Duration::from_secs(3_600));
        setup.clock.advance(Duration::from_secs(60));
        let items = setup.store.claim(&claimed).await.expect("claimed");
        items.iter().filter(|item| item.work.recheck && item.lane == Lane::Derived).count()
    };
    // Every read of the record but the first shows no change.
    for (wait, reads, repeated) in [(Duration::from_secs(60), 2, 0), (Duration::ZERO, 1, 1)] {
        setup.source.save_calls(wait);
        for _ in 0..reads {
            setup.queue("2", Lane::Derived, Work::fetch()).await;
            let items = setup.claim().await;
            setup.clock.advance(Duration::from_secs(60));
            let handled = setup.handler.handle_batch(&items).await;
            assert!(matches!(handled[0], Ok(Handled::Done(_))), "{handled:?}");
            let done = Settlement::new(&items[0], Settle::Complete(Outcome::Unchanged));
            setup.store.settle(vec![done]).await.expect("settled");
        }
        assert_eq!(second_looks().await, repeated, "where reads wait {wait:?}");
    }
}

#[tokio::test]
async fn whole_bodies_and_requests_of_operators_and_schedules_never_wait() {
    let setup = setup(1);
    let (_, pushed) = setup.source.pushed("1").expect("a record");
    setup.queue("1", Lane::Webhook, pushed).await;
    setup.queue("2", Lane::Operator, Work::fetch()).await;
    setup.queue("3", Lane::Incremental, Work::fetch()).await;
    let handled = setup.handle().await;
    assert_eq!(handled.len(), 3);
    assert!(handled.iter().all(|one| matches!(one, Ok(Handled::Done(Outcome::Applied)))), "{handled:?}");
}

#[tokio::test]
async fn a_record_that_another_call_reads_anyway_does_not_wait() {
    let setup = setup(2);
    for (id, lane) in [("1", Lane::Operator), ("2", Lane::Webhook)] {
        setup.queue(id, lane, Work::fetch()).await;
    }
    let mut items = setup.claim().await;
    let waiting = async |items: &[Claimed]| {
        setup.handler.handle_batch(items).await.iter().filter(|one| waits(one).is_some()).count()
    };
    assert_eq!(waiting(&items).await, 0, "two records are one call");
    setup.queue("3", Lane::Webhook, Work::fetch()).await;
    items.extend(setup.claim().await);
    assert_eq!(waiting(&items).await, 2, "a third would be a call more");
}

#[tokio::test]
async fn nothing_waits_where_calls_suffice() {
    let setup = setup(1);
    setup.source.save_calls(Duration::ZERO);
    setup.queue("1", Lane::Webhook, Work::fetch()).await;
    assert!(matches!(setup.handle().await[0], Ok(Handled::Done(Outcome::Applied))));
}

#[tokio::test]
async fn a_postponed_schedule_keeps_its_turn() {
    let setup = setup(1);
    let (hour, store) = (Duration::from_secs(3_600), Arc::new(setup.store.clone()));
    let spec = |entity| ScheduleSpec { entity, run_type: RunType::Incremental, every: hour };
    let source = |entity| {
        let schema = MirrorSchema { entity, head: None, children: &[] };
        Arc::new(ScriptedSource::new(schema, Arc::new(setup.clock.clone())))
    };
    let short = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&short);
    let engine = Engine::builder(Stores::new(store.as_ref(), setup.store.clone()))
        .source(source(PRODUCTS))
        .source(source(BILLS))
        .schedules(vec![spec(PRODUCTS), spec(BILLS)], SchedulerSettings::default())
        .postponing(Arc::new(move |spec| spec.entity == BILLS && asked.load(Ordering::Relaxed)))
        .build();
    let scheduler = &engine.scheduler;
    let started = async || {
        scheduler.look().await.expect("a look");
        let runs = store.list_runs(&RunFilter::default(), 10, None).await.expect("runs").items;
        let mut names: Vec<String> = runs.iter().map(|run| run.entity_type.to_string()).collect();
        names.sort();
        names
    };
    // The scheduler sees both schedules for the first time, so they are due an hour later.
    short.store(false, Ordering::Relaxed);
    assert!(started().await.is_empty());
    short.store(true, Ordering::Relaxed);
    setup.clock.advance(hour);
    assert_eq!(started().await, ["products"]);
    short.store(false, Ordering::Relaxed);
    assert_eq!(started().await, ["bills", "products"], "at once, not an hour later");
}
