//! A process that dies before or after any call that writes to its stores, during a verification. Another process
//! continues, and the report is the same as if nothing had happened. A death at another moment leaves the same stores.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use tds_core::{
    engine::{RunSettings, RunningEngine, Stores, VerifySettings},
    error::{Error, Result},
    guard::SyncState,
    memory::MemoryStore,
    mirror::{Applied, Difference, Mirror, MirrorSchema, RecordCount},
    queue::{ClaimRequest, Lane, Lease, LeaseToken, NewItem, Queue as _, Settle, Settlement, Work, WorkerId},
    record::{DateRange, EntityType, Fields, Read, RecordId, RecordKey},
    runs::{PageCommit, RunEnd, RunId, RunLease, RunPlan, RunStatus, SyncRun, SyncRunOperator as _},
    verify::{
        DriftClass, EntityReport, LocalRecord, Look, MoneyDifference, Suspect, VerificationReport,
        VerifiedRun, VerifyCounts, VerifyOperator, VerifyStore,
    },
};
use time::OffsetDateTime;
use tokio::sync::Notify;

use crate::support::{CHANGED, PRODUCTS, Setup, details, record, request};

/// The stores as a process reaches them that dies at a certain point: before or after a call that writes.
#[derive(Clone)]
struct Mortal {
    inner: MemoryStore,
    points: Arc<AtomicUsize>,
    died: Arc<Notify>,
}

impl Mortal {
    /// Creates the stores of a process that dies at this point; 0: it does not die.
    fn new(inner: &MemoryStore, point: usize) -> Self {
        let points = Arc::new(AtomicUsize::new(if point == 0 { usize::MAX } else { point }));
        Self { inner: inner.clone(), points, died: Arc::default() }
    }

    async fn point(&self) {
        if self.points.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
    }

    async fn call<T>(&self, effect: impl Future<Output = T>) -> T {
        self.point().await;
        let answer = effect.await;
        self.point().await;
        answer
    }
}

#[async_trait]
impl SyncRun for Mortal {
    async fn claim_run(
        &self,
        worker: &WorkerId,
        lease: Duration,
        among: Option<&[RunId]>,
    ) -> Result<Option<RunLease>> {
        self.inner.claim_run(worker, lease, among).await
    }

    async fn renew_run(
        &self,
        id: RunId,
        token: LeaseToken,
        lease: Duration,
        plan: Option<&RunPlan>,
    ) -> Result<()> {
        self.inner.renew_run(id, token, lease, plan).await
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<i64> {
        self.call(self.inner.commit_page(id, token, page)).await
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        self.inner.missing(id, entity).await
    }

    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()> {
        self.call(self.inner.end_run(id, token, end)).await
    }
}

#[async_trait]
impl Mirror for Mortal {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.inner.states(entity, ids).await
    }

    async fn compare(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashMap<RecordId, Difference>> {
        self.inner.compare(schema, reads).await
    }

    async fn count(
        &self,
        schema: &MirrorSchema,
        dated: Option<(&str, DateRange)>,
    ) -> Result<Option<RecordCount>> {
        Mirror::count(&self.inner, schema, dated).await
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        self.call(self.inner.apply(schema, reads)).await
    }
}

#[async_trait]
impl VerifyStore for Mortal {
    async fn local_records(
        &self,
        run: RunId,
        schema: &MirrorSchema,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<LocalRecord>> {
        self.inner.local_records(run, schema, after, limit).await
    }

    async fn in_work(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashSet<RecordId>> {
        self.inner.in_work(entity, ids).await
    }

    async fn suspect(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        self.call(self.inner.suspect(run, ids)).await
    }

    async fn suspects(&self, run: RunId, limit: usize) -> Result<Vec<Suspect>> {
        self.inner.suspects(run, limit).await
    }

    async fn looked(&self, run: RunId, schema: &MirrorSchema, looks: &[(Suspect, Look)]) -> Result<()> {
        self.call(self.inner.looked(run, schema, looks)).await
    }

    async fn sample(&self, run: RunId, size: usize) -> Result<Vec<RecordId>> {
        self.inner.sample(run, size).await
    }

    async fn count(&self, run: RunId, counts: VerifyCounts) -> Result<()> {
        self.call(VerifyStore::count(&self.inner, run, counts)).await
    }

    async fn unreadable(&self, run: RunId, limit: usize) -> Result<(u64, Vec<(RecordId, String)>)> {
        self.inner.unreadable(run, limit).await
    }

    async fn differing(&self, run: RunId) -> Result<Vec<(RecordId, DriftClass)>> {
        self.inner.differing(run).await
    }
}

#[async_trait]
impl VerifyOperator for Mortal {
    async fn report(&self, id: Option<RunId>, examples: usize) -> Result<Option<VerificationReport>> {
        self.inner.report(id, examples).await
    }

    async fn current(&self) -> Result<Vec<EntityReport>> {
        self.inner.current().await
    }

    async fn unfinished(&self) -> Result<Vec<RunId>> {
        self.inner.unfinished().await
    }

    async fn repaired(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        self.call(self.inner.repaired(run, ids)).await
    }

    async fn finish(&self, id: RunId, money: &[MoneyDifference]) -> Result<()> {
        self.call(self.inner.finish(id, money)).await
    }

    async fn history(&self, since: OffsetDateTime) -> Result<Vec<VerifiedRun>> {
        VerifyOperator::history(&self.inner, since).await
    }
}

/// Creates a mirror with a record of each class of drift, one whose stock moved, one that cannot be read, and one with a
/// dead letter.
async fn drifted() -> Setup {
    let setup = Setup::new(9, details(2));
    setup.source.put(record("9").volatile(json!({"stock": 5})));
    let running = setup.fill(4).await;
    let (source, store, clock) = (running.source.clone(), running.store.clone(), running.clock.clone());
    running.engine.stop().await;
    store.edit(&PRODUCTS, &RecordId::new("1"), "rate", json!(11));
    source.put(record("2").fields(json!({"rate": 20})).version(CHANGED + Duration::from_secs(60)));
    store.uproot(&PRODUCTS, &RecordId::new("3"));
    store.plant(&PRODUCTS, &RecordId::new("99"), Fields::from_iter([("rate".to_owned(), json!(1))]));
    store.edit(&PRODUCTS, &RecordId::new("4"), "rate", json!(11));
    source.fail("4", Error::invalid("no name"));
    store.edit(&PRODUCTS, &RecordId::new("9"), "stock", json!(4));
    store.edit(&PRODUCTS, &RecordId::new("5"), "rate", json!(11));
    let key = RecordKey::new(PRODUCTS, RecordId::new("5"));
    store.enqueue(vec![NewItem::new(key, Lane::Webhook, Work::fetch())]).await.expect("queued");
    let request = ClaimRequest::new(WorkerId("test".to_owned()), 1, Duration::from_secs(60));
    let item = store.claim(&request).await.expect("claimed").remove(0);
    let lease = Lease { id: item.id, token: item.token };
    let settle = Settle::DeadLetter { error: "no".to_owned() };
    store.settle(vec![Settlement { lease, generation: item.generation, settle }]).await.expect("settled");
    Setup { clock, source, store }
}

fn process(setup: &Setup, mortal: &Mortal) -> RunningEngine {
    let stores = Stores {
        runs: Arc::new(mortal.clone()),
        mirror: Arc::new(mortal.clone()),
        ..Stores::new(&setup.store, setup.store.clone()).verifying(mortal)
    };
    let verify = VerifySettings { sample: 4, quiet: Duration::from_secs(4) };
    let runs = RunSettings { lease: Duration::from_secs(3), ..RunSettings::default() };
    setup.builder(stores, 4).verify(verify).runs(runs).start()
}

/// Waits until a verification is complete.
async fn completed(engine: &RunningEngine, store: &MemoryStore, id: RunId) -> VerificationReport {
    loop {
        engine.finish_verifications().await.expect("the store in memory answers");
        let report = store.report(Some(id), 100).await.expect("asked").expect("a report");
        if report.completed_at.is_some() {
            return report;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What a report says, without its times.
type Said = (RunStatus, Option<String>, VerifyCounts, [u64; 2], [BTreeMap<DriftClass, u64>; 2], Vec<String>);

fn said(report: VerificationReport) -> Said {
    let entity = report.entities.into_iter().next().expect("one entity type");
    let fields = entity.by_field.iter().map(|(field, count)| format!("{field}: {count}"));
    let examples = entity
        .examples
        .iter()
        .map(|it| format!("{} {:?} {:?} {}", it.id, it.class, it.fields, it.repaired_at.is_some()));
    let texts = fields.chain(examples).collect();
    let (numbers, classes) = ([entity.in_flight, entity.repaired], [entity.found, entity.drift]);
    (report.status, entity.error, entity.counts, numbers, classes, texts)
}

/// Verifies with a process that dies at a point, and with another one if it died. Returns what the report says.
async fn verified(repair: bool, point: usize) -> (Said, bool) {
    let setup = drifted().await;
    let id = setup.store.create(request(repair)).await.expect("created").id;
    let mortal = Mortal::new(&setup.store, point);
    let first = process(&setup, &mortal);
    let report = tokio::select! {
        biased;
        () = mortal.died.notified() => None,
        report = completed(&first, &setup.store, id) => Some(report),
    };
    // All tasks of the first process end here, wherever they are.
    drop(first);
    let died = report.is_none();
    let report = match report {
        Some(report) => report,
        None => completed(&process(&setup, &Mortal::new(&setup.store, 0)), &setup.store, id).await,
    };
    (said(report), died)
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_at_any_moment_leaves_the_report_of_an_undisturbed_verification() {
    for repair in [false, true] {
        let (undisturbed, _) = verified(repair, 0).await;
        let (status, _, counts, [in_flight, repaired], [found, drift], _) = &undisturbed;
        assert_eq!((*status, counts.compared, *in_flight), (RunStatus::CompletedWithErrors, 9, 2));
        let found: u64 = found.values().sum();
        let drift: u64 = drift.values().sum();
        assert_eq!((found, drift, *repaired), if repair { (5, 0, 5) } else { (5, 5, 0) });
        let mut points = 0;
        for point in 1.. {
            let (report, died) = verified(repair, point).await;
            assert_eq!(report, undisturbed, "repair {repair}, point {point}");
            if !died {
                points = point;
                break;
            }
        }
        assert!(points > 40, "the deaths reached every write: {points}");
    }
}
