//! Tests of the runs that download images, over ports in memory.
#![cfg(feature = "testkit")]

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    clock::Clock,
    engine::{ImageDownloads, RunExecutor as _},
    error::{Error, ErrorKind, Result, Retry},
    images::{
        Candidate, Fetched, ImageFile, ImageFiles, ImageRecord, ImageRecords, ImageSource, KeptImage, Look,
        ShownImage,
    },
    memory::MemoryStore,
    queue::{Lane, WorkerId},
    record::{DateRange, EntityType, RecordId},
    runs::{NewRun, Run, RunLease, RunStatus, RunType, Selection, SyncRun as _, SyncRunOperator as _},
    testkit::ManualClock,
};
use time::macros::date;

static PRODUCTS: EntityType = EntityType::from_static("products");
const BASE: &str = "memory://images/";

/// The source, the rows and the files. Each of their effects lies between two points at which a process can end.
#[derive(Default)]
struct World {
    clock: ManualClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shown: BTreeMap<String, ShownImage>,
    rows: HashMap<String, KeptImage>,
    errors: HashMap<String, String>,
    images: HashMap<String, Result<Fetched>>,
    fetched: Vec<String>,
    files: HashMap<String, usize>,
    store_fails: bool,
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked")
    }

    /// Enters a record with an image.
    fn enter(&self, id: &str, content: &str) {
        let version = Some(self.clock.now());
        let shown = ShownImage { document_id: Some(format!("d{id}")), name: None, version, deleted: false };
        self.state().shown.insert(id.to_owned(), shown);
        self.answer(id, Ok(gif(content)));
    }

    fn answer(&self, id: &str, answer: Result<Fetched>) {
        self.state().images.insert(id.to_owned(), answer);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut ShownImage)) {
        change(self.state().shown.get_mut(id).expect("a record"));
    }

    fn row(&self, id: &str) -> KeptImage {
        self.state().rows.get(id).cloned().unwrap_or_default()
    }

    /// Returns the records whose images were fetched since the last call.
    fn fetched(&self) -> Vec<String> {
        std::mem::take(&mut self.state().fetched)
    }
}

fn gif(content: &str) -> Fetched {
    Fetched::File { bytes: format!("GIF89a{content}").into_bytes(), content_type: None }
}

#[async_trait]
impl ImageSource for World {
    async fn fetch(&self, id: &RecordId, lane: Lane) -> Result<Fetched> {
        assert_eq!(lane, Lane::Verify, "images have the lowest lane");
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.fetched.push(id.as_str().to_owned());
        state.images.get(id.as_str()).cloned().unwrap_or(Ok(Fetched::Absent))
    }
}

#[async_trait]
impl ImageFiles for World {
    fn base(&self) -> &str {
        BASE
    }

    async fn put(&self, file: ImageFile) -> Result<String> {
        tokio::task::yield_now().await;
        let location = format!("{BASE}{}", file.key());
        {
            let mut state = self.state();
            if state.store_fails {
                return Err(Error::unavailable("the image store is full"));
            }
            *state.files.entry(location.clone()).or_default() += 1;
        }
        tokio::task::yield_now().await;
        Ok(location)
    }

    async fn remove(&self, location: &str) -> Result<bool> {
        Ok(location.starts_with(BASE) && self.state().files.remove(location).is_some())
    }
}

#[async_trait]
impl ImageRecords for World {
    fn entity(&self) -> &EntityType {
        &PRODUCTS
    }

    async fn candidates(
        &self,
        after: Option<&RecordId>,
        among: Option<&[RecordId]>,
        limit: usize,
    ) -> Result<Vec<Candidate>> {
        let state = self.state();
        let records = state.shown.iter().map(|(id, shown)| (RecordId::new(id.as_str()), shown.clone()));
        let wanted = records.filter(|(id, _)| {
            after.is_none_or(|after| id > after) && among.is_none_or(|among| among.contains(id))
        });
        let candidate = |(id, shown): (RecordId, ShownImage)| {
            let kept = state.rows.get(id.as_str()).cloned();
            Candidate { id, shown, kept }
        };
        Ok(wanted.map(candidate).take(limit).collect())
    }

    async fn record(&self, record: &ImageRecord) -> Result<()> {
        tokio::task::yield_now().await;
        let (id, now) = (record.id.as_str().to_owned(), self.clock.now());
        {
            let mut state = self.state();
            let before = state.rows.get(&id).cloned().unwrap_or_default();
            let ShownImage { document_id, name, version, .. } = record.shown.clone();
            let row = KeptImage {
                document_id,
                name,
                version,
                looked_at: Some(now),
                failed: matches!(record.look, Look::Failed { .. }),
                deleted: record.look == Look::Removed,
                ..before
            };
            let row = match &record.look {
                Look::Kept { sha256, location, .. } => {
                    assert!(state.files.contains_key(location), "no row without a file");
                    KeptImage { sha256: Some(sha256.clone()), location: Some(location.clone()), ..row }
                }
                Look::Absent => KeptImage { sha256: None, location: None, ..row },
                Look::Failed { error } => {
                    state.errors.insert(id.clone(), error.clone());
                    row
                }
                Look::Removed => row,
            };
            state.rows.insert(id, row);
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}

struct Setup {
    world: Arc<World>,
    store: MemoryStore,
    executor: ImageDownloads,
}

impl Setup {
    fn new() -> Self {
        let world = Arc::new(World::default());
        let store = MemoryStore::new(Arc::new(world.clock.clone()));
        let executor = ImageDownloads {
            runs: Arc::new(store.clone()),
            source: world.clone(),
            records: world.clone(),
            files: world.clone(),
            clock: Arc::new(world.clock.clone()),
            wording: ToString::to_string,
        };
        Self { world, store, executor }
    }

    async fn lease(&self, selection: Option<Selection>) -> RunLease {
        let run = NewRun { selection, ..NewRun::new(PRODUCTS.clone(), RunType::Images, "scripted", "test") };
        self.executor.check(&run).expect("accepted");
        self.store.create(run).await.expect("created");
        self.claim().await
    }

    async fn claim(&self) -> RunLease {
        let worker = WorkerId::unique();
        let lease = self.store.claim_run(&worker, Duration::ZERO, None).await.expect("claimed");
        lease.expect("a run")
    }

    async fn run(&self, selection: Option<Selection>) -> (Run, Result<()>) {
        let lease = self.lease(selection).await;
        let result = self.executor.execute(&lease).await;
        if result.is_err() {
            // The worker for runs stores the failure.
            self.store.cancel(lease.run.id).await.expect("ended");
        }
        (self.store.get_run(lease.run.id).await.expect("readable").expect("kept"), result)
    }

    async fn completed(&self) -> Run {
        let (run, result) = self.run(None).await;
        result.expect("executed");
        assert_eq!(run.status, RunStatus::Completed, "{run:#?}");
        run
    }
}

#[tokio::test(start_paused = true)]
async fn images_are_read_once_and_again_when_something_shows_a_change() {
    let setup = Setup::new();
    let world = &setup.world;
    for n in 0..45 {
        world.enter(&format!("{n:02}"), &format!("image {n}"));
    }
    world.change("07", |shown| (shown.document_id, shown.name) = (None, None));
    let run = setup.completed().await;
    assert_eq!((run.total_items, run.processed_items, run.failed_items), (44, 44, 0));
    assert_eq!((world.fetched().len(), world.state().files.len()), (44, 44));
    assert!(world.row("07").location.is_none());

    assert_eq!(setup.completed().await.total_items, 0, "nothing is due");
    assert_eq!(world.fetched(), [""; 0], "a run without due images makes no call");

    // Another image with the same id and name shows only by a change of the record. The same bytes are not written again.
    world.clock.advance(Duration::from_secs(60));
    let now = world.clock.now();
    world.change("01", |shown| shown.version = Some(now));
    world.answer("01", Ok(gif("another image")));
    world.change("02", |shown| shown.version = Some(now));
    world.change("03", |shown| shown.name = Some("new.gif".to_owned()));
    world.change("04", |shown| (shown.document_id, shown.name) = (None, None));
    world.change("05", |shown| shown.deleted = true);
    let (first, removed) = (world.row("01"), world.row("04"));
    assert_eq!(setup.completed().await.total_items, 5);
    assert_eq!(world.fetched(), ["01", "02", "03"]);
    assert_ne!(world.row("01").location, first.location);
    assert_eq!(world.state().files.len(), 45, "the earlier file stays");
    assert!(world.state().files.values().all(|writes| *writes == 1), "no file was written twice");
    for id in ["04", "05"] {
        assert!(world.row(id).deleted && world.row(id).location.is_some(), "{id}: the row and its file stay");
    }
    assert_eq!(world.row("04").sha256, removed.sha256);
    assert_eq!(setup.completed().await.total_items, 0, "a tombstone is not removed twice");
    world.change("05", |shown| shown.deleted = false);
    assert_eq!(setup.completed().await.total_items, 1);
    assert!(!world.row("05").deleted, "an image that came back is live");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_one_image_is_stored_with_it_and_the_others_follow() {
    let setup = Setup::new();
    let world = &setup.world;
    for id in ["1", "2", "3", "4", "5"] {
        world.enter(id, id);
    }
    let transient = Error::new(ErrorKind::Unavailable, Retry::Transient { retry_after: None }, "HTTP 500");
    world.answer("1", Err(transient));
    world.answer("2", Err(Error::invalid("the image is longer than 10485760 bytes")));
    let html = b"<html>Bad Gateway</html>".to_vec();
    world.answer("3", Ok(Fetched::File { bytes: html, content_type: Some("image/png".to_owned()) }));
    world.answer("4", Ok(Fetched::Absent));
    let (run, result) = setup.run(None).await;
    result.expect("executed");
    assert_eq!(run.status, RunStatus::CompletedWithErrors);
    assert_eq!((run.total_items, run.processed_items, run.failed_items), (5, 5, 3));
    let log = run.error_log.expect("what went wrong");
    assert!(log.contains("1: ") && log.contains("HTTP 500") && log.contains("2: "), "{log}");
    assert_eq!(world.fetched().iter().filter(|id| *id == "1").count(), 3, "a few tries");
    assert!(world.state().errors["3"].contains("not a GIF, PNG, JPEG, BMP or WebP"));
    assert_eq!(world.state().files.len(), 1, "only an image is kept");
    assert!(!world.row("4").failed && world.row("4").location.is_none());

    assert_eq!(setup.completed().await.total_items, 0, "failed images wait for a day");
    world.clock.advance(Duration::from_secs(86_400));
    world.answer("1", Ok(gif("1")));
    let (run, _) = setup.run(None).await;
    assert_eq!((run.total_items, run.failed_items), (3, 2));
    assert!(world.row("1").location.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_ends_the_run_soon_and_nothing_is_recorded() {
    let setup = Setup::new();
    setup.world.enter("1", "one");
    setup.world.state().store_fails = true;
    let began = tokio::time::Instant::now();
    let (_, result) = setup.run(None).await;
    assert!(result.expect_err("the store fails").to_string().contains("the image store is full"));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(setup.world.state().rows.is_empty() && setup.world.fetched().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_refuses_everybody_is_waited_for_but_blames_no_image() {
    let setup = Setup::new();
    let retry = Retry::AuthPaused { retry_after: Duration::from_secs(60) };
    for id in ["1", "2", "3", "4"] {
        setup.world.enter(id, id);
        setup.world.answer(id, Err(Error::new(ErrorKind::Unauthorized, retry, "Zoho refuses the account")));
    }
    let began = tokio::time::Instant::now();
    let (_, result) = setup.run(None).await;
    assert!(result.expect_err("refused").to_string().contains("refuses the account"));
    let minutes = began.elapsed().as_secs() / 60;
    assert!((15..=16).contains(&minutes) && setup.world.fetched().len() < 20, "{minutes}");
    assert!(setup.world.state().rows.is_empty(), "no image is at fault");

    // An image that only seems to show an outage, because it is the first one, keeps no other image from being read.
    setup.world.fetched();
    for id in ["2", "3", "4"] {
        setup.world.answer(id, Ok(gif(id)));
    }
    let began = tokio::time::Instant::now();
    let (_, result) = setup.run(None).await;
    result.expect_err("the first image still fails");
    assert_eq!(setup.world.state().rows.len(), 3);
    assert_eq!(setup.world.fetched()[..4], ["1", "2", "3", "4"]);
    assert!(began.elapsed() >= Duration::from_secs(900), "the image is waited for when the others are done");
}

#[tokio::test(start_paused = true)]
async fn records_that_an_operator_names_are_read_and_written_whatever_is_kept() {
    let setup = Setup::new();
    for id in ["1", "2", "3"] {
        setup.world.enter(id, id);
    }
    setup.world.change("3", |shown| shown.document_id = None);
    setup.completed().await;
    setup.world.fetched();
    let ids = Selection::ids(["2", "3", "9"].map(RecordId::new)).expect("ids");
    let (run, result) = setup.run(Some(ids)).await;
    result.expect("executed");
    assert_eq!((run.total_items, setup.world.fetched()), (1, vec!["2".to_owned()]));
    let location = setup.world.row("2").location.expect("kept");
    assert_eq!(setup.world.state().files[&location], 2, "a lost file is written again");

    let new = || NewRun::new(PRODUCTS.clone(), RunType::Images, "scripted", "test");
    let dates = DateRange::new(Some(date!(2026 - 01 - 01)), None).expect("a range");
    for refused in [
        NewRun { entity: EntityType::from_static("invoices"), ..new() },
        NewRun { selection: Some(Selection::Dates(dates)), ..new() },
        NewRun { since: Some(setup.world.clock.now()), ..new() },
    ] {
        assert_eq!(setup.executor.check(&refused).expect_err("refused").kind(), ErrorKind::Invalid);
    }
}

/// Polls a future at most `polls` times. Returns true if the future ended; otherwise the process "crashed".
fn ends_within(polls: usize, future: impl Future<Output = Result<()>>) -> bool {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).any(|_| matches!(future.as_mut().poll(&mut context), Poll::Ready(result) if result.is_ok()))
}

#[tokio::test]
async fn a_crash_at_any_point_leaves_no_row_without_a_file_and_the_run_continues() {
    for polls in 0.. {
        let setup = Setup::new();
        for n in 0..25 {
            setup.world.enter(&format!("{n:02}"), &format!("image {}", n % 5));
        }
        let lease = setup.lease(None).await;
        let ended = ends_within(polls, setup.executor.execute(&lease));
        if !ended {
            // The run is claimed by another process, which continues at the last commit.
            setup.world.clock.advance(Duration::from_secs(1));
            let again = setup.claim().await;
            assert_eq!(again.run.id, lease.run.id);
            setup.executor.execute(&again).await.expect("executed");
        }
        let run = setup.store.get_run(lease.run.id).await.expect("readable").expect("kept");
        assert_eq!(run.status, RunStatus::Completed, "{polls}");
        let state = setup.world.state();
        assert!(state.rows.len() == 25 && state.files.len() == 5, "{polls}");
        // At most the image that was interrupted is read again.
        assert!((25..=26).contains(&state.fetched.len()), "{polls}: {}", state.fetched.len());
        if ended {
            assert!(polls > 100, "the crashes reached every point: {polls}");
            return;
        }
    }
}
