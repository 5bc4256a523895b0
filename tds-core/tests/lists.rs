//! Tests of the facts that runs know about lists, and of the reaction to lists that do not behave as expected.
#![cfg(feature = "testkit")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    engine::{Engine, RunSettings, Stores},
    error::{Error, Result},
    hint::Hint,
    limits::shared_state::SharedState,
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::Lane,
    record::{ContentHash, EntityType, Interval, Read, Record, RecordId, SourcePayload},
    runs::{NewRun, Run, RunStatus, RunType, SyncRunOperator},
    shutdown::ShutdownTrigger,
    source::{
        Ability, Capability, ListFacts, ListOrder, ListPage, ListRequest, Listed, Source, SourceProfile,
    },
    testkit::ManualClock,
};
use time::{OffsetDateTime, macros::datetime};

const PRODUCTS: EntityType = EntityType::from_static("products");
const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);
const DOCUMENTED: Capability = Capability { filter: Ability::Documented, sort: Ability::Documented };
const PROVEN: Capability = Capability { filter: Ability::Proven, sort: Ability::Proven };

/// A source with one list page of ids without contents, so that listing is the only work of a run.
struct Ids {
    schema: MirrorSchema,
    profile: SourceProfile,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    rows: usize,
    version: Option<OffsetDateTime>,
    learned: Option<Capability>,
    server_time: Option<OffsetDateTime>,
    probes: usize,
    requests: Vec<ListRequest>,
}

#[async_trait]
impl Source for Ids {
    fn schema(&self) -> &MirrorSchema {
        &self.schema
    }

    fn profile(&self) -> &SourceProfile {
        &self.profile
    }

    async fn probe(&self, _lane: Lane) -> Result<Capability> {
        self.script.lock().expect("whole").probes += 1;
        Ok(PROVEN)
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let mut script = self.script.lock().expect("whole");
        script.requests.push(request.clone());
        let row = |n: usize| Listed {
            id: RecordId::new(n.to_string()),
            version: script.version,
            hash: ContentHash::of_bytes(b"row"),
            payload: None,
        };
        Ok(ListPage {
            rows: (0..script.rows).map(row).collect(),
            next: None,
            observed: Interval { began: NOW, ended: NOW },
            server_time: script.server_time,
            learned: script.learned,
        })
    }

    async fn fetch(&self, ids: &[RecordId], _lane: Lane) -> Vec<Result<Read>> {
        ids.iter().map(|_| Err(Error::unavailable("lists only"))).collect()
    }

    fn decode(&self, _payload: &SourcePayload) -> Result<Record> {
        Err(Error::invalid("lists only"))
    }
}

struct Setup {
    source: Arc<Ids>,
    store: MemoryStore,
}

impl Setup {
    fn new() -> Self {
        let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
        let profile = SourceProfile {
            fetch_batch: 1,
            records_per_call: 1,
            records_per_page: 200,
            complete_list: false,
            documented: DOCUMENTED,
            ..SourceProfile::default()
        };
        let source = Arc::new(Ids { schema, profile, script: Mutex::default() });
        Self { source, store: MemoryStore::new(Arc::new(ManualClock::new(NOW))) }
    }

    fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.source.script.lock().expect("whole"))
    }

    async fn create_run(&self, run_type: RunType) -> Run {
        let (entity, since) = (PRODUCTS, None);
        let (source_type, requested_by) = ("ids".to_owned(), "test".to_owned());
        let run =
            NewRun { entity, run_type, source_type, since, selection: None, verify: None, requested_by };
        self.store.create(run).await.expect("a run")
    }

    /// Executes the run to its end while all items are discarded, and returns the ended run.
    async fn list(&self, run: &Run) -> Run {
        let settings = RunSettings { poll: Duration::from_millis(1), ..RunSettings::default() };
        let engine = Engine::builder(Stores::new(&self.store, self.store.clone()))
            .clock(Arc::new(ManualClock::new(NOW)))
            .source(self.source.clone())
            .runs(settings)
            .wording(command)
            .build();
        let (trigger, shutdown) = ShutdownTrigger::new();
        let task = tokio::spawn(async move { engine.runs.run(None, shutdown).await });
        let ended = loop {
            tds_core::queue::QueueOperator::discard(&self.store, &Default::default()).await.expect("discard");
            let run = self.store.get_run(run.id).await.expect("readable").expect("there");
            if !run.status.is_active() {
                break run;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        trigger.shutdown();
        task.await.expect("the task ends");
        ended
    }

    /// Returns the stored facts about the list.
    async fn facts(&self) -> ListFacts {
        let text = self.store.load("list products").await.expect("readable").text;
        text.map_or_else(ListFacts::default, |text| serde_json::from_str(&text).expect("facts"))
    }

    async fn run(&self, run_type: RunType, rows: usize) -> Run {
        self.script(|script| script.rows = rows);
        let run = self.create_run(run_type).await;
        self.list(&run).await
    }
}

/// Puts hints into words as a program that embeds the engine does.
fn command(hint: &Hint) -> String {
    match hint {
        Hint::AcceptShortList(run) => format!("tds-server runs resume {run}"),
        other => other.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_far_shorter_than_the_last_fails_its_run_and_an_operator_can_resume_it() {
    let setup = Setup::new();
    assert_eq!(setup.run(RunType::Full, 150).await.status, RunStatus::Completed);
    let failed = setup.run(RunType::Full, 60).await;
    assert_eq!(failed.status, RunStatus::Failed);
    let reason = failed.error_log.clone().expect("a reason");
    assert!(reason.contains("after 60 records") && reason.contains("had 150"), "{reason}");
    assert!(reason.contains(&format!("tds-server runs resume {}", failed.id)), "{reason}");
    assert_eq!(setup.store.history(&PRODUCTS).await.expect("readable").last_full_count, Some(150));

    setup.store.resume(failed.id).await.expect("resumed");
    assert_eq!(setup.list(&failed).await.status, RunStatus::Completed);
    assert_eq!(setup.store.history(&PRODUCTS).await.expect("readable").last_full_count, Some(60));
    assert_eq!(
        setup.run(RunType::Full, 1).await.status,
        RunStatus::Completed,
        "small shops shrink as they like"
    );
}

#[tokio::test(start_paused = true)]
async fn lists_of_more_than_one_page_are_probed_once_a_week_and_others_never() {
    let setup = Setup::new();
    setup.run(RunType::Full, 200).await;
    let run = setup.run(RunType::Incremental, 1).await;
    assert_eq!(setup.script(|script| script.probes), 0);
    assert_eq!(
        setup.script(|script| script.requests[1].order),
        ListOrder::Whole,
        "a page is a page: the whole list depends on nothing"
    );
    assert_eq!((run.pages, run.total_items, run.unchanged_items), (1, 1, 0));
    let plan = run.plan.expect("a plan");
    assert_eq!((plan.listing, plan.probe_calls, plan.expected_calls), (ListOrder::Whole, 0, Some(1)));
    setup.run(RunType::Full, 201).await;
    let plan = setup.run(RunType::Incremental, 1).await.plan.expect("a plan");
    assert_eq!((plan.listing, plan.probe_calls, plan.expected_calls), (ListOrder::MovingFilter, 4, Some(5)));
    for _ in 0..2 {
        setup.run(RunType::Incremental, 1).await;
    }
    assert_eq!(setup.script(|script| script.probes), 1);
    assert_eq!(setup.script(|script| script.requests.last().map(|last| last.capability)), Some(PROVEN));
    let facts = setup.facts().await;
    assert_eq!((facts.capability, facts.probed_at), (Some(PROVEN), Some(NOW)));
}

#[tokio::test(start_paused = true)]
async fn an_ability_that_a_page_contradicts_is_stored_as_refuted() {
    let setup = Setup::new();
    setup.run(RunType::Full, 1).await;
    let learned = Capability { filter: Ability::Refuted, sort: Ability::Documented };
    setup.script(|script| script.learned = Some(learned));
    setup.run(RunType::Incremental, 1).await;
    assert_eq!(setup.facts().await.capability, Some(learned));
}

#[tokio::test(start_paused = true)]
async fn rows_that_appear_late_widen_the_overlap() {
    let setup = Setup::new();
    setup.run(RunType::Full, 1).await;
    let cursor = setup.store.history(&PRODUCTS).await.expect("readable").cursor.expect("a cursor");
    let since = |setup: &Setup| setup.script(|script| script.requests.last().and_then(|last| last.since));
    setup.script(|script| script.version = Some(cursor - time::Duration::seconds(200)));
    setup.run(RunType::Incremental, 1).await;
    assert_eq!(since(&setup), Some(cursor - time::Duration::seconds(300)));
    let facts = setup.facts().await;
    assert_eq!(facts, ListFacts { lag_seconds: 200, ..ListFacts::default() });
    setup.run(RunType::Incremental, 1).await;
    assert_eq!(since(&setup), Some(cursor - time::Duration::seconds(400)));
}

#[tokio::test(start_paused = true)]
async fn the_window_ends_by_the_slower_of_both_clocks() {
    for (server_time, end) in [(-90, -95), (90, -5)] {
        let setup = Setup::new();
        setup.script(|script| script.server_time = Some(NOW + time::Duration::seconds(server_time)));
        setup.run(RunType::Full, 1).await;
        let cursor = setup.store.history(&PRODUCTS).await.expect("readable").cursor;
        assert_eq!(cursor, Some(NOW + time::Duration::seconds(end)));
    }
}
