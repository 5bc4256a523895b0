//! A full sync reads details again whatever other work its rows are folded into.
#![cfg(feature = "testkit")]

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tds_core::{
    clock::{Clock as _, SystemClock},
    engine::{Engine, RunSettings, RunningEngine, Stores, WorkerSettings},
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::{Lane, NewItem, Queue, QueueOperator, Waiter, Work},
    record::{EntityType, Interval, Observed, RecordBuilder, RecordId, RecordKey, Shape, SourcePayload},
    runs::{NewRun, Run, RunId, RunType, SyncRunOperator},
    source::SourceProfile,
    testkit::ScriptedSource,
};
use time::{OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const CHANGED: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
const DAY: Duration = Duration::from_secs(86_400);

struct Setup {
    source: Arc<ScriptedSource>,
    store: MemoryStore,
    engine: RunningEngine,
}

impl Setup {
    /// Creates a mirror with one record, whose detail was read once.
    async fn new(detail_max_age: Option<Duration>) -> Self {
        let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
        let profile = SourceProfile {
            needs_detail: true,
            detail_max_age,
            fetch_batch: 10,
            records_per_call: 10,
            records_per_page: 2,
            ..SourceProfile::default()
        };
        let source = ScriptedSource::new(schema, Arc::new(SystemClock)).with_profile(profile);
        let (source, store) = (Arc::new(source), MemoryStore::new(Arc::new(SystemClock)));
        source.put(record(CHANGED));
        let runs = RunSettings { poll: Duration::from_millis(10), ..RunSettings::default() };
        let worker = WorkerSettings { poll: Duration::from_millis(20), ..WorkerSettings::default() };
        let engine = Engine::builder(Stores::new(&store, store.clone()))
            .source(source.clone())
            .worker(worker)
            .runs(runs)
            .start();
        let setup = Self { source, store, engine };
        let first = setup.full_sync().await;
        setup.until(first, |run| !run.status.is_active()).await;
        assert_eq!(setup.source.fetches(), 1);
        setup
    }

    async fn full_sync(&self) -> RunId {
        let run = NewRun {
            entity: PRODUCTS,
            run_type: RunType::Full,
            source_type: "scripted".to_owned(),
            since: None,
            selection: None,
            verify: None,
            requested_by: "test".to_owned(),
        };
        self.store.create(run).await.expect("a run").id
    }

    async fn until(&self, id: RunId, condition: impl Fn(&Run) -> bool) {
        for _ in 0..1_500 {
            let run = self.store.get_run(id).await.expect("readable").expect("there");
            if condition(&run) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the run does not get there");
    }

    async fn pause(&self, paused: bool) {
        self.store.set_paused(&PRODUCTS, paused).await.expect("paused or resumed");
    }

    async fn enqueue(&self, lane: Lane, work: Work) {
        let key = RecordKey::new(PRODUCTS, RecordId::new("1"));
        self.store
            .enqueue(vec![NewItem { key: key.into(), lane, work, waiter: Waiter::Operator }])
            .await
            .expect("queued");
    }

    /// Runs a full sync whose row meets other work of the record. Returns how often the detail was read.
    async fn full_sync_that_meets(&self, lane: Lane, work: Work, work_first: bool) -> usize {
        let before = self.source.fetches();
        self.pause(true).await;
        if work_first {
            self.enqueue(lane, work.clone()).await;
        }
        let run = self.full_sync().await;
        self.until(run, |run| run.total_items == 1).await;
        if !work_first {
            self.enqueue(lane, work).await;
        }
        self.pause(false).await;
        self.until(run, |run| !run.status.is_active()).await;
        self.source.fetches() - before
    }
}

fn record(version: OffsetDateTime) -> RecordBuilder {
    RecordBuilder::new(&PRODUCTS, "1").version(version).fields(json!({"name": "old"}))
}

/// Returns the work of a body that was pushed with this version.
fn pushed(version: OffsetDateTime) -> Work {
    let observed = Observed::Push(SystemClock.now());
    let payload = SourcePayload { shape: Shape::Webhook, observed, json: record(version).build().raw };
    Work { version: Some(version), payload: Some(payload), ..Work::fetch() }
}

/// Returns the work of a row of an incremental list.
fn listed() -> Work {
    let seen = SystemClock.now();
    let observed = Observed::Call(Interval { began: seen, ended: seen });
    let payload = SourcePayload { shape: Shape::List, observed, json: record(CHANGED).build().raw };
    Work { version: Some(CHANGED), payload: Some(payload), ..Work::fetch() }
}

#[tokio::test]
async fn a_detail_that_moves_without_its_list_is_read_although_the_row_meets_an_older_push() {
    let setup = Setup::new(Some(DAY)).await;
    for push_first in [true, false] {
        let older = pushed(CHANGED - Duration::from_secs(60));
        assert_eq!(setup.full_sync_that_meets(Lane::Webhook, older, push_first).await, 1, "{push_first}");
    }
    setup.engine.stop().await;
}

#[tokio::test]
async fn a_detail_that_moves_without_its_list_is_read_although_the_row_meets_the_same_row_of_another_run() {
    let setup = Setup::new(Some(DAY)).await;
    for row_first in [true, false] {
        assert_eq!(
            setup.full_sync_that_meets(Lane::Incremental, listed(), row_first).await,
            1,
            "{row_first}"
        );
    }
    setup.engine.stop().await;
}

#[tokio::test]
async fn a_detail_that_moves_without_its_list_is_read_although_a_newer_push_takes_the_place_of_the_row() {
    let setup = Setup::new(Some(DAY)).await;
    setup.pause(true).await;
    let run = setup.full_sync().await;
    setup.until(run, |run| run.total_items == 1).await;
    let newer = CHANGED + time::Duration::MINUTE;
    setup.source.put(record(newer));
    setup.enqueue(Lane::Webhook, pushed(newer)).await;
    setup.pause(false).await;
    setup.until(run, |run| !run.status.is_active()).await;
    assert_eq!(setup.source.fetches(), 2);
    setup.engine.stop().await;
}

#[tokio::test]
async fn a_pushed_detail_is_read_although_the_row_meets_another_push() {
    let setup = Setup::new(None).await;
    // A pushed body does not settle the detail.
    let newer = CHANGED + time::Duration::MINUTE;
    setup.source.put(record(newer));
    setup.enqueue(Lane::Webhook, pushed(newer)).await;
    while setup.store.stats().await.expect("stats").queue.completed < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(setup.source.fetches(), 1);
    assert_eq!(setup.full_sync_that_meets(Lane::Webhook, pushed(CHANGED), true).await, 1);
    assert_eq!(setup.full_sync_that_meets(Lane::Webhook, pushed(CHANGED), true).await, 0, "it is settled");
    setup.engine.stop().await;
}

#[tokio::test]
async fn a_row_that_was_changed_by_hand_is_mended_although_the_listed_row_meets_a_push() {
    let setup = Setup::new(None).await;
    let id = RecordId::new("1");
    for push_first in [true, false] {
        setup.store.edit(&PRODUCTS, &id, "name", json!("by hand"));
        let older = pushed(CHANGED - Duration::from_secs(60));
        assert_eq!(setup.full_sync_that_meets(Lane::Webhook, older, push_first).await, 1, "{push_first}");
        let row = setup.store.row(&PRODUCTS, &id).expect("a row");
        assert_eq!(row.fields["name"], "old");
    }
    setup.engine.stop().await;
}
