//! A mirror in virtual time, and a source that behaves oddly on request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tds_core::{
    clock::Clock,
    engine::{Engine, EngineBuilder, RunningEngine, Stores, VerifySettings},
    error::{Error, Result},
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::Lane,
    record::{Content, EntityType, Observed, Read, Record, RecordBuilder, RecordId, SourcePayload},
    runs::{NewRun, Run, RunStatus, RunType, VerifyPart},
    source::{ListPage, ListRequest, Listed, Source, SourceProfile},
    testkit::ScriptedSource,
    verify::{VerificationReport, VerifyOperator as _},
};
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

pub(crate) const PRODUCTS: EntityType = EntityType::from_static("products");
const SERVICES: EntityType = EntityType::from_static("services");
pub(crate) const CHANGED: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

/// The clock of the paused runtime.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> OffsetDateTime {
        datetime!(2026-06-01 12:00 UTC) + self.0.elapsed()
    }
}

/// A scripted source. Its list writes names in capitals, as if it spelled them in its own way.
pub(crate) struct Odd {
    inner: ScriptedSource,
    oddities: Mutex<Oddities>,
}

#[derive(Default)]
struct Oddities {
    /// The records that every read fails for.
    failing: BTreeMap<RecordId, Error>,
    /// The records that belong to the sibling entity type.
    moved: BTreeSet<RecordId>,
    /// The number of reads of each record.
    reads: BTreeMap<RecordId, u32>,
}

impl Odd {
    fn oddities(&self) -> MutexGuard<'_, Oddities> {
        self.oddities.lock().expect("no test panicked")
    }

    /// Makes every read of a record fail.
    pub(crate) fn fail(&self, id: &str, error: Error) {
        self.oddities().failing.insert(RecordId::new(id), error);
    }

    /// Makes reads of a record work again.
    pub(crate) fn answer(&self, id: &str) {
        self.oddities().failing.remove(&RecordId::new(id));
    }

    /// Makes a record one of the sibling. The list still shows it.
    pub(crate) fn give_away(&self, id: &str) {
        self.oddities().moved.insert(RecordId::new(id));
    }

    pub(crate) fn put(&self, record: RecordBuilder) {
        self.inner.put(record);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.inner.remove(id);
    }

    /// Returns how many records were read.
    pub(crate) fn fetches(&self) -> usize {
        self.inner.fetches()
    }

    /// Returns how often a record was read.
    pub(crate) fn reads_of(&self, id: &str) -> u32 {
        self.oddities().reads.get(&RecordId::new(id)).copied().unwrap_or_default()
    }

    fn sibling(&self, mut record: Record) -> Record {
        if self.oddities().moved.contains(&record.id) {
            record.entity = SERVICES;
        }
        record
    }

    fn in_capitals(&self, row: Listed) -> Listed {
        let Some(payload) = row.payload.as_ref().filter(|_| self.profile().needs_detail) else { return row };
        let Ok(record) = self.inner.decode(payload) else { return row };
        let Observed::Call(seen) = payload.observed else { return row };
        let mut fields = record.fields;
        if let Some(Value::String(name)) = fields.get_mut("name") {
            *name = name.to_uppercase();
        }
        let mut shown = RecordBuilder::new(&record.entity, row.id.as_str()).fields(Value::Object(fields));
        if let Some(version) = record.version {
            shown = shown.version(version);
        }
        Listed::new(shown.volatile(Value::Object(record.volatile)).build(), seen)
    }
}

#[async_trait]
impl Source for Odd {
    fn schema(&self) -> &MirrorSchema {
        self.inner.schema()
    }

    fn profile(&self) -> &SourceProfile {
        self.inner.profile()
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let mut page = self.inner.list(request).await?;
        page.rows = page.rows.into_iter().map(|row| self.in_capitals(row)).collect();
        Ok(page)
    }

    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        let mut answers = Vec::with_capacity(ids.len());
        for id in ids {
            let failure = {
                let mut oddities = self.oddities();
                *oddities.reads.entry(id.clone()).or_default() += 1;
                oddities.failing.get(id).cloned()
            };
            if let Some(error) = failure {
                answers.push(Err(error));
                continue;
            }
            let mut read = self.inner.fetch(std::slice::from_ref(id), lane).await.remove(0);
            if let Ok(Read { content: Content::Present(record), .. }) = &mut read {
                **record = self.sibling((**record).clone());
            }
            answers.push(read);
        }
        answers
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        self.inner.decode(payload).map(|record| self.sibling(record))
    }
}

pub(crate) struct Setup {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) source: Arc<Odd>,
    pub(crate) store: MemoryStore,
}

impl Setup {
    /// Creates a source with this many records, and an empty mirror.
    pub(crate) fn new(records: u32, profile: SourceProfile) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Virtual(Instant::now()));
        let schema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
        let inner = ScriptedSource::new(schema, Arc::clone(&clock)).with_profile(profile);
        let source = Arc::new(Odd { inner, oddities: Mutex::default() });
        let store = MemoryStore::new(Arc::clone(&clock));
        for number in 1..=records {
            source.put(record(&number.to_string()));
        }
        Self { clock, source, store }
    }

    pub(crate) fn builder(&self, stores: Stores, sample: usize) -> EngineBuilder {
        let schema = MirrorSchema { entity: SERVICES, head: Some("services"), children: &[] };
        Engine::builder(stores)
            .clock(Arc::clone(&self.clock))
            .source(self.source.clone())
            .source(Arc::new(ScriptedSource::new(schema, Arc::clone(&self.clock))))
            .verify(VerifySettings { sample, ..VerifySettings::default() })
    }

    /// Starts an engine and fills the mirror. All records were read two minutes ago when this returns.
    pub(crate) async fn start(self, sample: usize) -> Running {
        let running = self.fill(sample).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        running
    }

    /// Starts an engine and fills the mirror.
    pub(crate) async fn fill(self, sample: usize) -> Running {
        let stores = Stores::new(&self.store, self.store.clone()).verifying(&self.store);
        let engine = self.builder(stores, sample).start();
        let running = Running { clock: self.clock, source: self.source, store: self.store, engine };
        running.full().await;
        running
    }
}

/// A running engine.
pub(crate) struct Running {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) source: Arc<Odd>,
    pub(crate) store: MemoryStore,
    pub(crate) engine: RunningEngine,
}

impl Running {
    /// Runs a full sync.
    pub(crate) async fn full(&self) {
        let full = self.engine.sync(NewRun::new(PRODUCTS, RunType::Full, "scripted", "test")).await;
        assert_eq!(full.expect("a run").status, RunStatus::Completed);
    }

    pub(crate) async fn verify(&self, repair: bool) -> (Run, VerificationReport) {
        let run = self.engine.sync(request(repair)).await.expect("a run");
        self.engine.finish_verifications().await.expect("completed");
        let report = self.store.report(Some(run.id), 100).await.expect("asked").expect("a report");
        (run, report)
    }
}

pub(crate) fn request(repair: bool) -> NewRun {
    let verify = Some(VerifyPart { verification: None, repair });
    NewRun { verify, ..NewRun::new(PRODUCTS, RunType::Verify, "scripted", "test") }
}

pub(crate) fn record(id: &str) -> RecordBuilder {
    RecordBuilder::new(&PRODUCTS, id).fields(json!({"name": format!("n{id}"), "rate": 10})).version(CHANGED)
}

/// The profile of a source whose list rows are a part of the record.
pub(crate) fn details(records_per_call: usize) -> SourceProfile {
    SourceProfile {
        needs_detail: true,
        fetch_batch: records_per_call,
        records_per_call,
        ..SourceProfile::default()
    }
}

/// Returns what a report found: the id, the class and the fields of each record.
pub(crate) fn found(report: &VerificationReport) -> BTreeMap<&str, (&str, Vec<&str>)> {
    let examples = report.entities[0].examples.iter();
    examples
        .map(|it| {
            (it.id.as_str(), (it.class.as_str(), it.fields.iter().map(|it| it.field.as_str()).collect()))
        })
        .collect()
}
