//! One simulation, from its seed to its report.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{
    engine::{
        Engine, ListerSettings, RunSettings, ScheduleSpec, SchedulerSettings, Stores, VerifySettings,
        WorkerSettings,
    },
    lock::lock,
    memory::MemoryStore,
    queue::WorkerId,
    retry::RetryPolicy,
    runs::{NewRun, RunType, SyncRunOperator},
    shutdown::{Shutdown, ShutdownTrigger},
};
use tokio::task::JoinSet;

use crate::{
    book::Book,
    drift,
    kinds::{ACCOUNTS, DEEDS, KINDS},
    plan::Plan,
    process::Process,
    rest,
    source::{Books, SimSource, open, pool},
    store::FaultyStore,
    verification,
    watch::Watch,
    webhooks::Post,
    world::{Report, World},
};

/// How the comparisons of the simulation read. A sample of details is small, as it is in large organizations.
pub(crate) const COMPARES: VerifySettings = VerifySettings { sample: 2, quiet: Duration::from_secs(15) };
const LEASE: Duration = Duration::from_secs(15);
/// All work must have ended this long after the faults have ended.
const BOUND: Duration = Duration::from_secs(1800);

/// The parts of one simulation.
pub(crate) struct Simulation {
    pub(crate) world: Arc<World>,
    pub(crate) books: Books,
    pub(crate) store: MemoryStore,
    pub(crate) watch: Arc<Watch>,
    /// The present process of each slot.
    slots: Mutex<Vec<FaultyStore>>,
}

/// Runs a simulation on its own runtime, with virtual time.
pub(crate) fn simulate(plan: Plan, tracing: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(plan, tracing);
        let simulation = Simulation::new(Arc::clone(&world));
        simulation.run().await;
        world.report()
    })
}

impl Simulation {
    fn new(world: Arc<World>) -> Arc<Self> {
        let books = Books::default();
        let store = MemoryStore::new(Arc::new(world.clock));
        let watch = Arc::new(Watch::new(Arc::clone(&world), Arc::clone(&books), store.clone()));
        Arc::new(Self { world, books, store, watch, slots: Mutex::default() })
    }

    async fn run(self: &Arc<Self>) {
        self.fill();
        let (trigger, shutdown) = ShutdownTrigger::new();
        let mut tasks = JoinSet::new();
        for slot in 0..self.world.plan.processes {
            let first = self.store_of_new_process(slot as u64);
            lock(&self.slots).push(first.clone());
            tasks.spawn(Arc::clone(self).keep_running(slot, first, shutdown.clone()));
        }
        let mut post = Post::new(Arc::clone(self));
        let end = tokio::time::Instant::now() + Duration::from_secs(self.world.plan.chaos);
        while tokio::time::Instant::now() < end && !self.world.is_violated() {
            self.upset();
            self.change(&mut post);
            self.disturb_the_mirror().await;
            tokio::time::sleep(self.world.dice.millis(self.world.plan.change_every)).await;
        }
        self.world.calm_down();
        self.processes().iter().for_each(|store| store.process.wake());
        post.delivered().await;
        // Changes of the last seconds are not yet settled.
        tokio::time::sleep(Duration::from_secs(10)).await;
        if !self.world.is_violated() && tokio::time::timeout(BOUND, rest::reach(self)).await.is_err() {
            self.world
                .violated(format!("not at rest {BOUND:?} after the faults: {}", rest::open_work(self).await));
        }
        if !self.world.is_violated() && self.world.plan.drifts {
            let compared = tokio::time::timeout(BOUND, verification::compare(self, &mut post)).await;
            if compared.is_err() {
                let open = rest::open_work(self).await;
                self.world.violated(format!("the comparisons do not end within {BOUND:?}: {open}"));
            }
        }
        if !self.world.is_violated() {
            rest::check(self).await;
        }
        trigger.shutdown();
    }

    fn fill(&self) {
        let mut book = open(&self.books);
        for n in 0..self.world.plan.records {
            let kinds = &self.world.plan.kinds;
            let kind = kinds[usize::try_from(n).expect("small") % kinds.len()];
            // This time is older than any window.
            let long_ago = self.world.clock.second() - 100_000 - i64::try_from(n % 3).expect("small");
            book.create(kind, long_ago, &self.world.dice, false);
        }
    }

    pub(crate) fn processes(&self) -> Vec<FaultyStore> {
        lock(&self.slots).clone()
    }

    pub(crate) fn store_of_new_process(&self, number: u64) -> FaultyStore {
        FaultyStore {
            inner: self.store.clone(),
            process: Process::new(number, Arc::clone(&self.world)),
            world: Arc::clone(&self.world),
            watch: Arc::clone(&self.watch),
        }
    }

    /// Starts a process again each time it dies.
    async fn keep_running(self: Arc<Self>, slot: usize, mut store: FaultyStore, shutdown: Shutdown) {
        let mut number = slot as u64;
        loop {
            self.start(&store, &shutdown);
            store.process.wait_for_death().await;
            self.world.count("processes died");
            tokio::time::sleep(self.world.dice.millis(20_000)).await;
            number += 100;
            store = self.store_of_new_process(number);
            lock(&self.slots)[slot] = store.clone();
        }
    }

    fn start(&self, store: &FaultyStore, shutdown: &Shutdown) {
        let world = &self.world;
        let name = WorkerId(format!("process {}", store.process.number));
        let mut stores = Stores::new(store, store.clone());
        if world.plan.drifts {
            stores = stores.verifying(store);
        }
        let derived = Some(Duration::from_secs(2));
        let mut builder = Engine::builder(stores).clock(Arc::new(world.clock)).derived(derived);
        let mut specs = Vec::new();
        let pool = pool(world, &self.store);
        for kind in &world.plan.kinds {
            let source = SimSource::new(
                *kind,
                Arc::clone(world),
                Arc::clone(&self.books),
                Arc::clone(&store.process),
                pool.clone(),
            );
            let source = Arc::new(source);
            builder = builder.source(source);
            // Accounts follow their documents only.
            let schedules = if *kind == ACCOUNTS { 0 } else { 2 };
            for (run_type, seconds) in
                [(RunType::Incremental, 30), (RunType::Full, 40)].into_iter().take(schedules)
            {
                let (entity, every) = (KINDS[*kind].schema.entity.clone(), Duration::from_secs(seconds));
                specs.push(ScheduleSpec { entity, run_type, every });
            }
            if world.plan.drifts {
                let (entity, every) = (KINDS[*kind].schema.entity.clone(), Duration::from_secs(60));
                specs.push(ScheduleSpec { entity, run_type: RunType::Verify, every });
            }
        }
        let policy = RetryPolicy {
            max_attempts: world.plan.max_attempts,
            base: Duration::from_secs(1),
            max: Duration::from_secs(20),
        };
        let settings = WorkerSettings {
            worker: name.clone(),
            concurrency: 1,
            lease: LEASE,
            policy,
            poll: Duration::from_secs(8),
            ..WorkerSettings::default()
        };
        let dice = world.dice.clone();
        let runs = RunSettings {
            worker: name.clone(),
            lease: LEASE,
            poll: Duration::from_secs(5),
            ..RunSettings::default()
        };
        let lister = ListerSettings { overlap: Duration::from_secs(20), ..ListerSettings::default() };
        let scheduler = SchedulerSettings {
            worker: name,
            tick: Duration::from_secs(7),
            source_type: "simulated".to_owned(),
        };
        let engine = builder
            .worker(settings)
            .random(Arc::new(move || dice.unit()))
            .runs(runs)
            .lister(lister)
            .schedules(specs, scheduler)
            .postponing(Arc::new({
                let world = Arc::clone(world);
                move |_| world.is_still()
            }))
            .verify(COMPARES)
            .build();
        let shutdown = shutdown.clone();
        tokio::spawn(async move { engine.run(shutdown).await });
    }

    /// Changes the mirror behind the engine's back, or requests a comparison that repairs.
    async fn disturb_the_mirror(&self) {
        let (world, dice) = (&self.world, &self.world.dice);
        if !world.plan.drifts {
            return;
        }
        if dice.permille(200) {
            drift::plant(self);
        }
        if dice.permille(40) {
            let kind = world.plan.kinds[dice.index(world.plan.kinds.len())];
            // The request is refused while another comparison of the entity type is active.
            if self.store.create(verification::request(kind, None, true)).await.is_ok() {
                world.count("comparisons requested");
            }
        }
    }

    /// Kills a process, or stops it for a while, often for longer than its lease.
    fn upset(&self) {
        let processes = self.processes();
        let store = &processes[self.world.dice.index(processes.len())];
        if self.world.plan.kills && self.world.strikes("process killed", 30) && !store.process.is_dead() {
            store.process.die();
        }
        if self.world.plan.pauses && self.world.strikes("process paused", 40) {
            store.process.pause(self.world.dice.millis(40_000));
        }
    }

    /// Makes a burst of changes at one moment.
    fn change(&self, post: &mut Post) {
        let (world, dice) = (&self.world, &self.world.dice);
        let burst = if dice.permille(300) { 1 + dice.below(4) } else { 1 };
        for _ in 0..burst {
            let kind = world.plan.kinds[dice.index(world.plan.kinds.len())];
            let kind = if kind == ACCOUNTS { DEEDS } else { kind };
            let poison = world.strikes("poison", world.plan.poison);
            let change = open(&self.books).change(kind, world.clock.second(), dice, poison);
            world.count("changes");
            world.note("change", [kind as u64, 0], || format!("{change:?}"));
            if let Some(change) = change {
                post.send(change);
            }
        }
    }

    /// Requests a full run of each entity type.
    pub(crate) async fn request_all(&self) -> Vec<tds_core::runs::RunId> {
        let mut runs = Vec::new();
        for kind in &self.world.plan.kinds {
            loop {
                let request = NewRun {
                    entity: KINDS[*kind].schema.entity.clone(),
                    run_type: RunType::Full,
                    source_type: "simulated".to_owned(),
                    since: None,
                    selection: None,
                    verify: None,
                    requested_by: "the end".to_owned(),
                };
                if let Ok(run) = self.store.create(request).await {
                    runs.push(run.id);
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        runs
    }
}

impl Simulation {
    /// Returns the records, to be compared at the end.
    pub(crate) fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        open(&self.books)
    }
}
