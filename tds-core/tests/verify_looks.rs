//! What a verification reports of records that are changing, what it repairs, and what it costs, in virtual time.
#![cfg(feature = "testkit")]

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tds_core::{
    clock::Clock,
    engine::{Engine, RunningEngine, Stores, VerifySettings},
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::{Lane, NewItem, Queue as _, QueueOperator as _, Work},
    record::{EntityType, Fields, RecordBuilder, RecordId, RecordKey},
    runs::{NewRun, Run, RunStatus, RunType, SyncRunOperator as _, VerifyPart},
    source::SourceProfile,
    testkit::ScriptedSource,
    verify::{VerificationReport, VerifyOperator as _},
};
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

const PRODUCTS: EntityType = EntityType::from_static("products");
const CHANGED: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

/// The clock of the paused runtime.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> OffsetDateTime {
        datetime!(2026-06-01 12:00 UTC) + self.0.elapsed()
    }
}

struct Setup {
    clock: Arc<dyn Clock>,
    source: Arc<ScriptedSource>,
    store: MemoryStore,
    engine: RunningEngine,
}

impl Setup {
    /// Creates a mirror of this many records, all of which were read a while ago.
    async fn new(records: u32, profile: SourceProfile, sample: usize) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
        let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
        let source = Arc::new(ScriptedSource::new(schema, Arc::clone(&clock)).with_profile(profile));
        let store = MemoryStore::new(Arc::clone(&clock));
        for number in 1..=records {
            source.put(record(&number.to_string()));
        }
        let engine = Engine::builder(Stores::new(&store, store.clone()).verifying(&store))
            .clock(Arc::clone(&clock))
            .source(source.clone())
            .verify(VerifySettings { sample, ..VerifySettings::default() })
            .start();
        let setup = Self { clock, source, store, engine };
        let full = setup.engine.sync(NewRun::new(PRODUCTS, RunType::Full, "scripted", "test")).await;
        assert_eq!(full.expect("a run").status, RunStatus::Completed);
        tokio::time::sleep(Duration::from_secs(120)).await;
        setup
    }

    async fn verify(&self, repair: bool) -> (Run, VerificationReport) {
        let verify = Some(VerifyPart { verification: None, repair });
        let run = NewRun { verify, ..NewRun::new(PRODUCTS, RunType::Verify, "scripted", "test") };
        let run = self.engine.sync(run).await.expect("a run");
        self.engine.finish_verifications().await.expect("completed");
        let report = self.store.report(Some(run.id), 100).await.expect("asked").expect("a report");
        (run, report)
    }
}

fn record(id: &str) -> RecordBuilder {
    RecordBuilder::new(&PRODUCTS, id).fields(json!({"name": id, "rate": 10})).version(CHANGED)
}

fn details(records_per_call: usize) -> SourceProfile {
    SourceProfile {
        needs_detail: true,
        fetch_batch: records_per_call,
        records_per_call,
        ..SourceProfile::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_in_work_at_six_looks_is_in_flight() {
    let setup = Setup::new(3, SourceProfile::default(), 0).await;
    let id = RecordId::new("1");
    setup.store.edit(&PRODUCTS, &id, "rate", json!(11));
    setup.store.set_paused(&PRODUCTS, true).await.expect("paused");
    let key = RecordKey::new(PRODUCTS, id);
    let item = NewItem::new(key, Lane::Webhook, Work::pushed(None, CHANGED, record("1").build().raw));
    setup.store.enqueue(vec![item]).await.expect("queued");
    let began = Instant::now();
    let (_, report) = setup.verify(false).await;
    assert_eq!((report.drift_total(), report.entities[0].in_flight), (0, 1));
    let took = began.elapsed().as_secs();
    assert!((75..90).contains(&took), "six looks, a quarter of a minute apart: {took} s");
    assert_eq!(setup.source.fetches(), 6, "each look reads the record");
    setup.engine.stop().await;
}

/// Reads a record ten seconds before it is edited by hand. Returns how long the verification that finds it takes.
async fn finds_after(setup: &Setup) -> u64 {
    let id = RecordId::new("1");
    let key = RecordKey::new(PRODUCTS, id.clone());
    let item = NewItem::new(key, Lane::Operator, Work::fetch());
    setup.store.enqueue(vec![item]).await.expect("queued");
    tokio::time::sleep(Duration::from_secs(10)).await;
    setup.store.edit(&PRODUCTS, &id, "rate", json!(11));
    let began = Instant::now();
    let (_, report) = setup.verify(false).await;
    assert_eq!((report.drift_total(), report.entities[0].in_flight), (1, 0));
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_record_that_changed_within_the_last_minute_is_looked_at_until_the_minute_is_over() {
    let setup = Setup::new(2, SourceProfile::default(), 0).await;
    let took = finds_after(&setup).await;
    assert!(took < 15, "only the read was a moment ago: {took} s");
    setup.source.put(record("1").version(setup.clock.now()));
    let took = finds_after(&setup).await;
    assert!((50..75).contains(&took), "the change was a moment ago: {took} s");
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rows_of_nobody_and_restored_tombstones_are_found_and_repaired() {
    let setup = Setup::new(3, details(1), 0).await;
    setup.source.remove("3");
    let full = setup.engine.sync(NewRun::new(PRODUCTS, RunType::Full, "scripted", "test")).await;
    assert_eq!(full.expect("a run").status, RunStatus::Completed);
    tokio::time::sleep(Duration::from_secs(120)).await;
    setup.store.bury(&PRODUCTS, &RecordId::new("3"), false);
    setup.store.plant(&PRODUCTS, &RecordId::new("99"), Fields::from_iter([("rate".to_owned(), json!(1))]));
    setup.store.uproot(&PRODUCTS, &RecordId::new("1"));
    setup.store.bury(&PRODUCTS, &RecordId::new("2"), true);
    let (_, found) = setup.verify(false).await;
    let classes = |report: &VerificationReport| -> Vec<(String, &str)> {
        let mut found: Vec<_> =
            report.entities[0].examples.iter().map(|it| (it.id.to_string(), it.class.as_str())).collect();
        found.sort();
        found
    };
    let expected =
        [("1", "missing_local"), ("2", "missing_local"), ("3", "missing_remote"), ("99", "missing_remote")];
    let expected: Vec<(String, &str)> = expected.map(|(id, class)| (id.to_owned(), class)).to_vec();
    assert_eq!(classes(&found), expected);
    let (run, repaired) = setup.verify(true).await;
    assert_eq!((classes(&repaired), run.status), (expected, RunStatus::Completed));
    assert_eq!((repaired.drift_total(), repaired.entities[0].repaired), (0, 4));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let (_, clean) = setup.verify(false).await;
    assert_eq!(classes(&clean), []);
    let earlier = setup.store.report(Some(found.id), 10).await.expect("asked").expect("a report");
    assert_eq!((earlier.drift_total(), earlier.entities[0].repaired), (0, 4), "they count as repaired");
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_records_that_are_gone_wait_for_an_operator() {
    let setup = Setup::new(40, SourceProfile::default(), 0).await;
    for number in 1..=25 {
        setup.source.remove(&number.to_string());
    }
    let (run, report) = setup.verify(true).await;
    assert_eq!((run.status, run.held_deletions), (RunStatus::CompletedWithErrors, 25));
    assert_eq!((report.drift_total(), report.entities[0].repaired), (25, 0));
    let live = || setup.store.rows(&PRODUCTS).values().filter(|row| row.deleted_at.is_none()).count();
    assert_eq!(live(), 40);
    assert_eq!(setup.store.confirm_deletions(run.id).await.expect("confirmed"), 25);
    while setup.store.get_run(run.id).await.expect("asked").expect("there").status.is_active() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(live(), 15);
    setup.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clean_target_costs_its_list_and_the_records_that_are_read_whole() {
    for (profile, reads, sampled) in
        [(SourceProfile::default(), 0, 0), (details(1), 3, 3), (details(10), 25, 25)]
    {
        let setup = Setup::new(25, profile, 3).await;
        let before = setup.source.fetches();
        let (_, report) = setup.verify(true).await;
        let entity = &report.entities[0];
        assert_eq!((report.drift_total(), entity.in_flight), (0, 0));
        assert_eq!((setup.source.fetches() - before, entity.counts.sampled), (reads, sampled));
        assert_eq!((entity.counts.source_records, entity.counts.target_records), (25, 25));
        setup.engine.stop().await;
    }
}
