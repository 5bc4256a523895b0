//! Tests of runs with a selection, over the store in memory and a scripted source.
#![cfg(feature = "testkit")]

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tds_core::{
    clock::SystemClock,
    engine::{Engine, RunSettings, RunningEngine, Stores, WorkerSettings},
    handler::IgnoringHandler,
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::{Lane, NewItem, Queue as _, QueueOperator as _, Work},
    record::{DateRange, EntityType, RecordBuilder, RecordId, RecordKey},
    runs::{NewRun, Run, RunStatus, RunType, Selection, SyncRunOperator as _},
    source::SourceProfile,
    testkit::ScriptedSource,
};
use time::macros::date;

const INVOICES: EntityType = EntityType::from_static("invoices");
const SCHEMA: MirrorSchema = MirrorSchema { entity: INVOICES, head: Some("invoices"), children: &[] };
/// The number of records: one for each day of January to March 2026, and some more in April.
const RECORDS: u16 = 100;

struct Setup {
    source: Arc<ScriptedSource>,
    store: MemoryStore,
    engine: RunningEngine,
}

impl Setup {
    fn new() -> Self {
        let profile = SourceProfile {
            date_column: Some("date"),
            records_per_call: 10,
            records_per_page: 2,
            ..SourceProfile::default()
        };
        let source = Arc::new(ScriptedSource::new(SCHEMA, Arc::new(SystemClock)).with_profile(profile));
        for n in 0..RECORDS {
            source.put(record(n, "old"));
        }
        let store = MemoryStore::new(Arc::new(SystemClock));
        let runs = RunSettings { poll: Duration::from_millis(10), ..RunSettings::default() };
        let worker = WorkerSettings { poll: Duration::from_millis(10), ..WorkerSettings::default() };
        let engine = Engine::builder(Stores::new(&store, store.clone()))
            .source(source.clone())
            .worker(worker)
            .runs(runs)
            .start();
        Self { source, store, engine }
    }

    async fn sync(&self, run_type: RunType, selection: Option<Selection>) -> Run {
        let run = NewRun { selection, ..NewRun::new(INVOICES, run_type, "scripted", "test") };
        let run = self.engine.sync(run).await.expect("a run");
        assert_eq!(run.status, RunStatus::Completed, "{run:#?}");
        run
    }

    fn names(&self, name: &str) -> usize {
        let rows = self.store.rows(&INVOICES);
        rows.values().filter(|row| row.deleted_at.is_none() && row.fields["name"] == name).count()
    }
}

fn record(n: u16, name: &str) -> RecordBuilder {
    let day = date!(2026 - 01 - 01) + time::Duration::days(n.into());
    RecordBuilder::new(&INVOICES, &format!("{n:04}")).fields(json!({"name": name, "date": day.to_string()}))
}

fn quarter() -> Selection {
    let dates = DateRange::new(Some(date!(2026 - 01 - 01)), Some(date!(2026 - 03 - 31)));
    Selection::Dates(dates.expect("a range"))
}

#[tokio::test]
async fn dates_bring_their_records_and_nothing_else_happens() {
    let setup = Setup::new();
    let run = setup.sync(RunType::Incremental, Some(quarter())).await;
    assert_eq!((run.total_items, setup.names("old")), (90, 90));
    let plan = run.plan.expect("a plan");
    assert!(plan.reason.contains("from 2026-01-01 to 2026-03-31"), "{}", plan.reason);
    let history = setup.store.history(&INVOICES).await.expect("readable");
    assert_eq!((history.cursor, history.last_full_count), (None, None), "most records are unread");

    // A full sync makes the records known. A record that vanishes is not missed by a part that does not show it.
    setup.sync(RunType::Full, None).await;
    let before = setup.store.history(&INVOICES).await.expect("readable");
    setup.source.remove("0003");
    setup.source.put(record(4, "new"));
    let run = setup.sync(RunType::Full, Some(quarter())).await;
    assert_eq!((run.total_items, run.unchanged_items), (89, 88));
    assert_eq!((setup.names("new"), setup.names("old")), (1, 99), "a part finds no deletions");
    let after = setup.store.history(&INVOICES).await.expect("readable");
    assert_eq!((after.cursor, after.last_full_count), (before.cursor, before.last_full_count));
    // The plan of the second part knew the 90 records in the mirror: 45 pages of two.
    assert_eq!(run.plan.expect("a plan").expected_calls, Some(45));
    setup.engine.stop().await;
}

#[tokio::test]
async fn ids_are_read_without_a_list() {
    let setup = Setup::new();
    let ids = Selection::ids(["0007", "0042", "nobody"].map(RecordId::new)).expect("ids");
    let run = setup.sync(RunType::Incremental, Some(ids)).await;
    assert_eq!((run.total_items, run.failed_items, run.pages), (3, 0, 1));
    assert_eq!(run.plan.expect("a plan").expected_calls, Some(1));
    assert_eq!((setup.names("old"), setup.source.fetches()), (2, 3));
    setup.engine.stop().await;
}

#[tokio::test]
async fn more_ids_than_one_page_holds_are_all_read() {
    let setup = Setup::new();
    let ids = (0..450).map(|n| RecordId::new(format!("{n:04}")));
    let run = setup.sync(RunType::Full, Some(Selection::ids(ids).expect("ids"))).await;
    assert_eq!((run.total_items, run.pages, setup.names("old")), (450, 3, usize::from(RECORDS)));
    setup.engine.stop().await;
}

#[tokio::test]
async fn a_list_without_a_filter_by_date_is_refused_before_the_run_exists() {
    let source = Arc::new(ScriptedSource::new(SCHEMA, Arc::new(SystemClock)));
    let store = MemoryStore::default();
    let engine = Engine::builder(Stores::new(&store, store.clone())).source(source).build();
    let run = NewRun {
        selection: Some(quarter()),
        ..NewRun::new(INVOICES, RunType::Incremental, "scripted", "test")
    };
    let refused = [engine.check_run(&run), engine.estimate_run(&run).await.map(drop)];
    for error in refused {
        let error = error.expect_err("no filter").to_string();
        assert_eq!(error, "the list of invoices has no filter by date");
    }
    let ids = Selection::ids([RecordId::new("7")]).expect("ids");
    let plan = engine.estimate_run(&NewRun { selection: Some(ids), ..run }).await.expect("a plan");
    assert_eq!(plan.expect("a plan").expected_calls, Some(1));
}

#[tokio::test]
async fn work_for_an_entity_type_that_is_not_synced_ends_as_ignored() {
    let store = MemoryStore::default();
    let engine = Engine::builder(Stores::new(&store, store.clone()))
        .handler(Arc::new(IgnoringHandler(INVOICES)))
        .start();
    let key = RecordKey::new(INVOICES, RecordId::new("7"));
    store.enqueue(vec![NewItem::new(key, Lane::Webhook, Work::fetch())]).await.expect("queued");
    for _ in 0..500 {
        if store.stats().await.expect("readable").queue.live() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stats = store.stats().await.expect("readable");
    assert_eq!((stats.queue.live(), stats.queue.completed), (0, 1));
    engine.stop().await;
}
