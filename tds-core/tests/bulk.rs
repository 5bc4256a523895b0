//! Tests of the bulk engine over the store in memory and a scripted source.
#![cfg(feature = "testkit")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use tds_core::{
    clock::SystemClock,
    engine::{Engine, RunSettings, RunningEngine, Stores, WorkerSettings},
    error::{Error, ErrorKind, Result, Retry},
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::{Lane, QueueOperator},
    record::{EntityType, Read, Record, RecordBuilder, RecordId, SourcePayload},
    runs::{NewRun, Run, RunId, RunStatus, RunType, SyncRunOperator},
    source::{ListPage, ListRequest, Source, SourceProfile},
    testkit::ScriptedSource,
};
use time::{OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const BILLS: EntityType = EntityType::from_static("bills");
const LONG_AGO: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

/// A source whose pages take 10 ms each, so that a test can act in the middle of a run.
struct Slow(Arc<ScriptedSource>);

#[async_trait]
impl Source for Slow {
    fn schema(&self) -> &MirrorSchema {
        self.0.schema()
    }

    fn profile(&self) -> &SourceProfile {
        self.0.profile()
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.list(request).await
    }

    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        self.0.fetch(ids, lane).await
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        self.0.decode(payload)
    }
}

struct Setup {
    source: Arc<ScriptedSource>,
    store: MemoryStore,
}

impl Setup {
    fn with(records: usize) -> Self {
        let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
        let source = Arc::new(ScriptedSource::new(schema, Arc::new(SystemClock)));
        let store = MemoryStore::new(Arc::new(SystemClock));
        for n in 0..records {
            source.put(record(n, "old"));
        }
        Self { source, store }
    }

    fn engine(&self) -> RunningEngine {
        let runs = RunSettings {
            lease: Duration::from_secs(5),
            poll: Duration::from_millis(10),
            ..RunSettings::default()
        };
        let worker = WorkerSettings { poll: Duration::from_millis(20), ..WorkerSettings::default() };
        Engine::builder(Stores::new(&self.store, self.store.clone()))
            .source(Arc::new(Slow(self.source.clone())))
            .worker(worker)
            .runs(runs)
            .start()
    }

    async fn create_run(&self, run_type: RunType) -> RunId {
        let run = NewRun::new(PRODUCTS, run_type, "scripted", "test");
        self.store.create(run).await.expect("a run").id
    }

    async fn run(&self, id: RunId) -> Run {
        self.store.get_run(id).await.expect("readable").expect("there")
    }

    async fn ended(&self, id: RunId) -> Run {
        self.until(id, |run| !run.status.is_active()).await
    }

    async fn until(&self, id: RunId, condition: impl Fn(&Run) -> bool) -> Run {
        for _ in 0..1_500 {
            let run = self.run(id).await;
            if condition(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the run does not get there: {:#?}", self.run(id).await);
    }
}

fn record(n: usize, name: &str) -> RecordBuilder {
    RecordBuilder::new(&PRODUCTS, &format!("{n:04}")).version(LONG_AGO).fields(json!({"name": name}))
}

fn throttled() -> Error {
    let retry = Retry::Throttled { retry_after: Duration::from_millis(20) };
    Error::new(ErrorKind::RateLimited, retry, "too many requests")
}

#[tokio::test]
async fn a_full_sync_brings_every_record_and_its_numbers_add_up() {
    let setup = Setup::with(25);
    let engine = setup.engine();
    let run = setup.create_run(RunType::Full).await;
    let run = setup.ended(run).await;
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    assert_eq!((run.total_items, run.processed_items, run.failed_items, run.pages), (25, 25, 0, 14));
    assert_eq!(setup.store.rows(&PRODUCTS).len(), 25);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_open_gate_and_the_end_of_a_run_let_the_next_run_begin_long_before_the_poll() {
    let setup = Setup::with(3);
    let schema = MirrorSchema { entity: BILLS, head: Some("bills"), children: &[] };
    let bills = Arc::new(ScriptedSource::new(schema, Arc::new(SystemClock)));
    let is_open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    let runs = RunSettings { concurrency: 1, poll: Duration::from_secs(3_600), ..RunSettings::default() };
    let first = setup.create_run(RunType::Full).await;
    let second = NewRun::new(BILLS, RunType::Full, "scripted", "test");
    let second = setup.store.create(second).await.expect("a run").id;
    let engine = Engine::builder(Stores::new(&setup.store, setup.store.clone()))
        .source(setup.source.clone())
        .source(bills)
        .runs(runs)
        .gate(Arc::new(move || gate.load(Ordering::SeqCst)))
        .start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(setup.run(first).await.status, RunStatus::Pending);
    is_open.store(true, Ordering::SeqCst);
    // Both waits are much shorter than the poll.
    assert_eq!(setup.ended(first).await.status, RunStatus::Completed);
    assert_eq!(setup.ended(second).await.status, RunStatus::Completed);
    engine.stop().await;
}

#[tokio::test]
async fn a_second_full_sync_queues_nothing() {
    let setup = Setup::with(25);
    let engine = setup.engine();
    let first = setup.create_run(RunType::Full).await;
    setup.ended(first).await;
    let items = setup.store.stats().await.expect("stats").queue.completed;
    let second = setup.create_run(RunType::Full).await;
    let second = setup.ended(second).await;
    assert_eq!((second.total_items, second.processed_items, second.unchanged_items), (25, 25, 25));
    assert_eq!(setup.store.stats().await.expect("stats").queue.completed, items);
    engine.stop().await;
}

#[tokio::test]
async fn a_run_that_is_cut_short_resumes_at_its_checkpoint() {
    let setup = Setup::with(60);
    let run = setup.create_run(RunType::Full).await;
    let engine = setup.engine();
    setup.until(run, |run| run.pages >= 3).await;
    engine.stop().await;
    let cut = setup.run(run).await;
    assert_eq!(cut.status, RunStatus::Running, "it is not over");

    let engine = setup.engine();
    let ended = setup.ended(run).await;
    assert_eq!(ended.status, RunStatus::Completed, "{ended:?}");
    assert_eq!((ended.total_items, ended.pages), (60, 31), "no page was committed twice");
    engine.stop().await;
}

#[tokio::test]
async fn a_run_waits_out_a_throttled_or_failing_page() {
    let setup = Setup::with(4);
    setup.source.fail_next(throttled());
    setup.source.fail_next(Error::unavailable("away for a moment"));
    let engine = setup.engine();
    let run = setup.create_run(RunType::Full).await;
    assert_eq!(setup.ended(run).await.status, RunStatus::Completed);
    engine.stop().await;
}

#[tokio::test]
async fn a_list_that_cannot_be_read_fails_the_run_with_its_reason_and_it_can_be_resumed() {
    let setup = Setup::with(4);
    let retry = Retry::Permanent;
    setup.source.fail_next(Error::new(ErrorKind::Protocol, retry, "the list has no key `items`"));
    let engine = setup.engine();
    let run = setup.create_run(RunType::Full).await;
    let failed = setup.ended(run).await;
    assert_eq!(failed.status, RunStatus::Failed);
    assert!(failed.error_log.is_some_and(|log| log.contains("no key `items`")));
    setup.store.resume(run).await.expect("resumable");
    assert_eq!(setup.ended(run).await.status, RunStatus::Completed);
    engine.stop().await;
}

#[tokio::test]
async fn few_deletions_are_confirmed_and_many_wait_for_an_operator() {
    let setup = Setup::with(60);
    let engine = setup.engine();
    let first = setup.create_run(RunType::Full).await;
    setup.ended(first).await;
    (0..5).for_each(|n| setup.source.remove(&format!("{n:04}")));
    let few = setup.create_run(RunType::Full).await;
    assert_eq!(setup.ended(few).await.status, RunStatus::Completed);
    let gone = || setup.store.rows(&PRODUCTS).values().filter(|row| row.deleted_at.is_some()).count();
    assert_eq!(gone(), 5);

    (5..30).for_each(|n| setup.source.remove(&format!("{n:04}")));
    let many = setup.create_run(RunType::Full).await;
    let held = setup.ended(many).await;
    assert_eq!((held.status, held.held_deletions), (RunStatus::CompletedWithErrors, 25), "{held:?}");
    assert_eq!(gone(), 5, "nothing is marked by itself");
    assert_eq!(setup.store.confirm_deletions(many).await.expect("released"), 25);
    setup.until(many, |run| !run.status.is_active() && run.held_deletions == 0).await;
    assert_eq!(gone(), 30);
    engine.stop().await;
}

#[tokio::test]
async fn records_that_only_moved_while_the_list_was_read_are_found_in_a_second_list() {
    let setup = Setup::with(60);
    let engine = setup.engine();
    let first = setup.create_run(RunType::Full).await;
    setup.ended(first).await;
    setup.source.move_past_reader((0..25).map(|n| RecordId::new(format!("{n:04}"))));
    let run = setup.create_run(RunType::Full).await;
    let ended = setup.ended(run).await;
    assert_eq!((ended.status, ended.held_deletions), (RunStatus::Completed, 0), "{ended:?}");
    assert_eq!(setup.source.fetches(), 0, "none of them had to be asked for");
    engine.stop().await;
}

#[tokio::test]
async fn an_incremental_sync_asks_only_for_what_changed() {
    let setup = Setup::with(20);
    let engine = setup.engine();
    let full = setup.create_run(RunType::Full).await;
    setup.ended(full).await;
    let cursor = setup.store.history(&PRODUCTS).await.expect("readable").cursor.expect("set by the full run");
    setup.source.put(record(7, "new").version(cursor));
    let incremental = setup.create_run(RunType::Incremental).await;
    let run = setup.ended(incremental).await;
    assert_eq!((run.status, run.total_items), (RunStatus::Completed, 1), "{run:?}");
    engine.stop().await;
}

#[tokio::test]
async fn a_run_of_an_unknown_entity_type_fails_instead_of_hanging() {
    let setup = Setup::with(0);
    let engine = setup.engine();
    let run = NewRun::new(EntityType::from_static("projects"), RunType::Full, "scripted", "test");
    let run = setup.store.create(run).await.expect("a run").id;
    assert_eq!(setup.ended(run).await.status, RunStatus::Failed);
    engine.stop().await;
}
