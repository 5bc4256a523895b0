//! Simulations of both directions: programs edit the target, users edit the source, pushes fail at every point, and
//! webhooks of our own writes come late, twice and out of order.
//!
//! At rest, both sides agree field by field, or a person has to decide; no edit vanished, and nothing was created twice.
//! `TDS_SIM_SEEDS` sets the number of seeds, and `TDS_SIM_BOTH=7` replays one seed with its trace.

mod actors;
mod bugs;
mod journal;
mod post;
mod remote;
mod rest;
mod seeds;
mod shop;
mod store;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{
    engine::{Engine, Stores, WorkerSettings},
    lock::lock,
    memory::MemoryStore,
    outbound::{ConflictPolicy, Mode, ModeChange, Modes},
    queue::WorkerId,
    retry::RetryPolicy,
    shutdown::{Shutdown, ShutdownTrigger},
};
use tokio::task::JoinSet;

use self::{
    bugs::Bug,
    post::Post,
    remote::Remote,
    shop::{COLUMNS, SCHEMAS, Shops},
    store::Gated,
};
use crate::{
    dice::Dice,
    plan::Plan,
    process::Process,
    world::{Report, World},
};

const LEASE: Duration = Duration::from_secs(60);
/// All work must have ended this long after the faults have ended.
const BOUND: Duration = Duration::from_secs(3600);

/// The parts of one simulation.
struct Both {
    world: Arc<World>,
    shops: Shops,
    store: MemoryStore,
    post: Arc<Post>,
    bug: Option<Bug>,
    /// The present process of each slot.
    slots: Mutex<Vec<Gated>>,
}

/// Returns the plan of a seed. A process that only stops for a while is not part of it: no source refuses a write that
/// comes too late.
fn plan_of(seed: u64) -> Plan {
    let dice = Dice::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(3));
    let mut plan = Plan::of(seed, None);
    plan.outages.clear();
    plan.pauses = false;
    plan.max_attempts = 60;
    plan.chaos = 30 + dice.below(90);
    plan.change_every =
        if dice.permille(500) { 1_000 + dice.below(2_000) } else { 3_000 + dice.below(10_000) };
    plan.pace = if dice.permille(500) { 200 } else { 2_500 };
    if dice.permille(300) {
        plan.webhook_lost = 0;
    }
    plan
}

/// Runs a simulation on its own runtime, with virtual time.
fn simulate(seed: u64, bug: Option<Bug>, tracing: bool) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(plan_of(seed), tracing);
        let store = MemoryStore::new(Arc::new(world.clock));
        let post = Post::new(Arc::clone(&world), store.clone());
        let both = Both {
            world: Arc::clone(&world),
            shops: Shops::default(),
            store,
            post,
            bug,
            slots: Mutex::default(),
        };
        Arc::new(both).run().await;
        world.report()
    })
}

impl Both {
    async fn run(self: &Arc<Self>) {
        self.begin().await;
        let (trigger, shutdown) = ShutdownTrigger::new();
        let mut tasks = JoinSet::new();
        for slot in 0..self.world.plan.processes {
            let first = self.new_process(slot as u64);
            lock(&self.slots).push(first.clone());
            tasks.spawn(Arc::clone(self).keep_running(slot, first, shutdown.clone()));
        }
        let end = tokio::time::Instant::now() + Duration::from_secs(self.world.plan.chaos);
        while tokio::time::Instant::now() < end && !self.world.is_violated() {
            self.upset();
            for _ in 0..=self.world.dice.below(3) {
                if self.world.dice.permille(550) { self.edit_target() } else { self.edit_source() }
            }
            if self.world.dice.permille(100) {
                self.decide().await;
            }
            tokio::time::sleep(self.world.dice.millis(self.world.plan.change_every)).await;
        }
        self.world.calm_down();
        self.post.delivered().await;
        if !self.world.is_violated() && tokio::time::timeout(BOUND, self.reach()).await.is_err() {
            let open = self.open_work().await;
            self.world.violated(format!("not at rest {BOUND:?} after the faults: {open}"));
        }
        if !self.world.is_violated() {
            self.check().await;
        }
        trigger.shutdown();
    }

    /// Sets the modes, and fills the source.
    async fn begin(&self) {
        let dice = &self.world.dice;
        let policies = [
            ConflictPolicy::SourceWins,
            ConflictPolicy::TargetWins,
            ConflictPolicy::NewestWins,
            ConflictPolicy::Manual,
        ];
        let policy = |dice: &Dice| policies[dice.index(4)];
        for (kind, schema) in SCHEMAS.iter().enumerate() {
            let fields = dice.permille(300).then(|| [(COLUMNS[kind][0].to_owned(), policy(dice))].into());
            let change = ModeChange {
                entity: schema.entity.clone(),
                mode: Some(Mode::Bidirectional),
                policy: Some(policy(dice)),
                fields,
                epoch: None,
            };
            self.store.set_mode(&change).await.expect("the store in memory answers");
        }
        for number in 0..2 + dice.below(5) {
            self.enter(usize::from(number % 3 == 2));
        }
    }

    /// Waits until all work has ended, reads every record again, and waits again. In most seeds a person then decides
    /// what is left.
    async fn reach(&self) {
        self.drain().await;
        self.read_all().await;
        self.drain().await;
        if self.world.dice.permille(700) {
            while self.decide().await {
                self.drain().await;
            }
            self.read_all().await;
            self.drain().await;
        }
    }

    fn new_process(&self, number: u64) -> Gated {
        let process = Process::new(number, Arc::clone(&self.world));
        Gated { inner: self.store.clone(), process, world: Arc::clone(&self.world), bug: self.bug }
    }

    /// Starts a process again each time it dies.
    async fn keep_running(self: Arc<Self>, slot: usize, mut store: Gated, shutdown: Shutdown) {
        let mut number = slot as u64;
        loop {
            self.start(&store, &shutdown);
            store.process.wait_for_death().await;
            self.world.count("processes died");
            tokio::time::sleep(self.world.dice.millis(20_000)).await;
            number += 100;
            store = self.new_process(number);
            lock(&self.slots)[slot] = store.clone();
        }
    }

    fn start(&self, store: &Gated, shutdown: &Shutdown) {
        let world = &self.world;
        let ports = Arc::new(store.clone());
        let memory = Stores::new(&self.store, store.clone());
        let outbound = memory.outbound(&self.store);
        let stores = Stores {
            queue: ports.clone(),
            outbound: outbound
                .outbound
                .clone()
                .map(|operator| tds_core::engine::OutboundStores { outbox: ports, ..operator }),
            ..outbound
        };
        let mut builder = Engine::builder(stores).clock(Arc::new(world.clock));
        for kind in 0..SCHEMAS.len() {
            let remote = Arc::new(Remote {
                kind,
                world: Arc::clone(world),
                shops: Arc::clone(&self.shops),
                process: Arc::clone(&store.process),
                post: Arc::clone(&self.post),
                bug: self.bug,
            });
            builder = builder.source(remote.clone()).writer(remote);
        }
        let policy = RetryPolicy {
            max_attempts: world.plan.max_attempts,
            base: Duration::from_secs(1),
            max: Duration::from_secs(20),
        };
        let settings = WorkerSettings {
            worker: WorkerId(format!("process {}", store.process.number)),
            concurrency: 2,
            lease: LEASE,
            policy,
            poll: Duration::from_secs(8),
            ..WorkerSettings::default()
        };
        let dice = world.dice.clone();
        let engine = builder.worker(settings).random(Arc::new(move || dice.unit())).build();
        let (worker, relay) = (Arc::clone(&engine.worker), engine.relay.clone().expect("an outbox"));
        let (first, second) = (shutdown.clone(), shutdown.clone());
        tokio::spawn(async move { worker.run(first).await });
        tokio::spawn(async move { relay.run(second).await });
    }

    /// Kills a process.
    fn upset(&self) {
        let processes = lock(&self.slots).clone();
        let store = &processes[self.world.dice.index(processes.len())];
        if self.world.plan.kills && self.world.strikes("process killed", 40) && !store.process.is_dead() {
            store.process.die();
        }
    }
}
