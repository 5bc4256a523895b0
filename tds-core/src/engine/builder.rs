//! The builder of an engine, and the engine itself.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    ListerSettings, Postponed, PushHandler, Random, Registry, Relay, RunExecutor, RunSettings, RunWorker,
    Schedule, ScheduleSpec, Scheduler, SchedulerSettings, SourceGate, Worker, WorkerSettings,
    lister::Lister,
    lists::Lists,
    verifier::{Verifier, VerifySettings, Watch},
};
use crate::{
    clock::{Clock, SystemClock},
    error::{Error, Result},
    handler::{BatchHandler, FollowSettings, MirrorHandler, Preview, preview},
    hint::Wording,
    limits::shared_state::SharedState,
    mirror::Mirror,
    outbound::{Modes, Outbox, OutboxOperator, RemoteWriter},
    queue::{Queue, Work},
    record::{EntityType, RecordKey},
    runs::{ListLoad, NewRun, Run, RunPlan, RunType, SyncRun, SyncRunOperator},
    shutdown::{Shutdown, ShutdownTrigger},
    source::Source,
    verify::{MoneyCheck, VerifyOperator, VerifyStore},
};

/// The ports of the stores that an engine works on.
#[derive(Clone)]
pub struct Stores {
    /// The queue of items.
    pub queue: Arc<dyn Queue>,
    /// The runs to execute.
    pub runs: Arc<dyn SyncRun>,
    /// The runs to create and to look up.
    pub run_operator: Arc<dyn SyncRunOperator>,
    /// The state of schedules.
    pub schedule: Arc<dyn Schedule>,
    /// The documents that processes share.
    pub shared: Arc<dyn SharedState>,
    /// The mirror that records are written to.
    pub mirror: Arc<dyn Mirror>,
    /// What verifications keep; `None` if the stores know no verifications. Runs of that type are then refused.
    pub verify: Option<VerifyStores>,
    /// The outbox of local changes; `None` if the stores know none. The target then only follows the source.
    pub outbound: Option<OutboundStores>,
}

/// The ports of outbound work.
#[derive(Clone)]
pub struct OutboundStores {
    /// The outbox.
    pub outbox: Arc<dyn Outbox>,
    /// The modes of the entity types.
    pub modes: Arc<dyn Modes>,
    /// The outbox and the conflicts, as operators use them.
    pub operator: Arc<dyn OutboxOperator>,
}

/// The ports of verifications.
#[derive(Clone)]
pub struct VerifyStores {
    /// What the runs of verifications keep.
    pub store: Arc<dyn VerifyStore>,
    /// The verifications and their reports.
    pub operator: Arc<dyn VerifyOperator>,
    /// The checks of money, if the target has any.
    pub money: Option<Arc<dyn MoneyCheck>>,
}

impl Stores {
    /// Creates the ports from one store for everything but the mirror. The mirror may be another store.
    #[must_use]
    pub fn new<S>(store: &S, mirror: impl Mirror + 'static) -> Self
    where
        S: Queue + SyncRun + SyncRunOperator + Schedule + SharedState + Clone + 'static,
    {
        let store = Arc::new(store.clone());
        Self {
            queue: store.clone(),
            runs: store.clone(),
            run_operator: store.clone(),
            schedule: store.clone(),
            shared: store,
            mirror: Arc::new(mirror),
            verify: None,
            outbound: None,
        }
    }

    /// Adds the ports of verifications from one store, without checks of money.
    #[must_use]
    pub fn verifying<S: VerifyStore + VerifyOperator + Clone + 'static>(self, store: &S) -> Self {
        let store = Arc::new(store.clone());
        self.with_verify(VerifyStores { store: store.clone(), operator: store, money: None })
    }

    /// Adds the ports of outbound work from one store.
    #[must_use]
    pub fn outbound<S: Outbox + Modes + OutboxOperator + Clone + 'static>(mut self, store: &S) -> Self {
        let store = Arc::new(store.clone());
        self.outbound = Some(OutboundStores { outbox: store.clone(), modes: store.clone(), operator: store });
        self
    }

    /// Adds the ports of verifications.
    #[must_use]
    pub fn with_verify(mut self, verify: VerifyStores) -> Self {
        self.verify = Some(verify);
        self
    }
}

/// The builder of an engine; see [`Engine::builder`].
pub struct EngineBuilder {
    stores: Stores,
    worker: Worker,
    executors: Vec<Arc<dyn RunExecutor>>,
    clock: Arc<dyn Clock>,
    runs: RunSettings,
    lister: ListerSettings,
    verify: VerifySettings,
    scheduler: SchedulerSettings,
    schedules: Vec<ScheduleSpec>,
    postponed: Postponed,
    derived: Option<Duration>,
    /// The entity types of the sources, which the handlers learn when the engine is built.
    followed: Arc<OnceLock<BTreeSet<EntityType>>>,
}

impl EngineBuilder {
    /// Adds a source whose records are written to the mirror.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn Source>) -> Self {
        let mirror = Arc::clone(&self.stores.mirror);
        let follow = self.derived.map(|slot| FollowSettings { slot, entities: Arc::clone(&self.followed) });
        let handler =
            MirrorHandler::new(Arc::clone(&source), mirror, Arc::clone(&self.clock)).following(follow);
        self.worker.registry = self.worker.registry.with_source(source).with_handler(Arc::new(handler));
        self
    }

    /// Adds a writer of the source, which local changes are pushed with. If the records are mirrored, their source has to
    /// be added first. Without an outbox, the writer is not used.
    #[must_use]
    pub fn writer(mut self, writer: Arc<dyn RemoteWriter>) -> Self {
        let Some(outbound) = &self.stores.outbound else { return self };
        let entity = &writer.schema().entity;
        let source = self.worker.registry.source(entity).filter(|_| writer.is_mirrored()).cloned();
        let handler = PushHandler {
            outbox: Arc::clone(&outbound.outbox),
            mirror: Arc::clone(&self.stores.mirror),
            source,
            writer,
            clock: Arc::clone(&self.clock),
            follow: self.derived.map(|slot| FollowSettings { slot, entities: Arc::clone(&self.followed) }),
        };
        self.worker.registry = self.worker.registry.with_handler(Arc::new(handler));
        self
    }

    /// Adds a handler. It replaces a handler of the same entity type and direction that was added before.
    #[must_use]
    pub fn handler(mut self, handler: Arc<dyn BatchHandler>) -> Self {
        self.worker.registry = self.worker.registry.with_handler(handler);
        self
    }

    /// Adds an executor for runs of types that the lister does not execute.
    #[must_use]
    pub fn executor(mut self, executor: Arc<dyn RunExecutor>) -> Self {
        self.executors.push(executor);
        self
    }

    /// Sets the clock; the default is the machine's clock. Call this method before [`EngineBuilder::source`], because
    /// the handlers of the sources use the clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Lets the values that a source derives, such as stock and balances, follow the records that
    /// [move](crate::record::Record::moves) them. The reads are gathered in slots of this length. By default, or with
    /// `None`, these values are read on their schedules only. Call this method before [`EngineBuilder::source`].
    #[must_use]
    pub fn derived(mut self, slot: Option<Duration>) -> Self {
        self.derived = slot;
        self
    }

    /// Sets how items are handled.
    #[must_use]
    pub fn worker(mut self, settings: WorkerSettings) -> Self {
        self.worker.settings = settings;
        self
    }

    /// Sets how runs are executed.
    #[must_use]
    pub fn runs(mut self, settings: RunSettings) -> Self {
        self.runs = settings;
        self
    }

    /// Sets how the runs that read a list are executed.
    #[must_use]
    pub fn lister(mut self, settings: ListerSettings) -> Self {
        self.lister = settings;
        self
    }

    /// Sets how verifications compare.
    #[must_use]
    pub fn verify(mut self, settings: VerifySettings) -> Self {
        self.verify = settings;
        self
    }

    /// Sets the schedules of runs, and how often the engine looks for a schedule that is due.
    #[must_use]
    pub fn schedules(mut self, schedules: Vec<ScheduleSpec>, settings: SchedulerSettings) -> Self {
        (self.schedules, self.scheduler) = (schedules, settings);
        self
    }

    /// Sets the function that postpones schedules. A postponed schedule stays due: its run starts as soon as the
    /// function allows it.
    #[must_use]
    pub fn postponing(mut self, postponed: Postponed) -> Self {
        self.postponed = postponed;
        self
    }

    /// Sets the gate to the source. While the gate is closed, this process claims no runs, and it claims only items
    /// that carry a payload: another process may be able to ask the source. Items that nevertheless need the source
    /// are given back at once.
    #[must_use]
    pub fn gate(mut self, gate: SourceGate) -> Self {
        self.worker.gate = gate;
        self
    }

    /// Sets the source of random numbers for the back-off, for tests and simulations that have to be reproducible.
    #[must_use]
    pub fn random(mut self, random: Random) -> Self {
        self.worker.random = random;
        self
    }

    /// Sets the wording of hints in the errors that are stored with items and runs. The default wording names no
    /// command and no setting.
    #[must_use]
    pub fn wording(mut self, wording: Wording) -> Self {
        self.worker.wording = wording;
        self
    }

    /// Builds the engine. The engine does nothing until it is started.
    #[must_use]
    pub fn build(self) -> Engine {
        let Self { stores, worker, mut executors, .. } = self;
        let lists = Lists {
            runs: Arc::clone(&stores.run_operator),
            mirror: Arc::clone(&stores.mirror),
            shared: Arc::clone(&stores.shared),
        };
        // A builder is built once, so the cell is empty.
        self.followed.get_or_init(|| worker.registry.polled().cloned().collect());
        let relay = stores.outbound.as_ref().map(|ports| Relay { outbox: Arc::clone(&ports.outbox) });
        let outbound = stores.outbound.clone();
        let verifier = stores.verify.map(|ports| {
            Arc::new(Verifier {
                registry: worker.registry.clone(),
                runs: Arc::clone(&stores.runs),
                mirror: Arc::clone(&stores.mirror),
                store: ports.store,
                operator: ports.operator,
                money: ports.money,
                clock: Arc::clone(&self.clock),
                settings: self.verify,
                wording: worker.wording,
                watch: Watch::default(),
            })
        });
        if let Some(verifier) = &verifier {
            executors.push(verifier.clone());
        }
        let (mirror, clock) = (Arc::clone(&stores.mirror), Arc::clone(&self.clock));
        executors.push(Arc::new(Lister {
            registry: worker.registry.clone(),
            runs: Arc::clone(&stores.runs),
            mirror: stores.mirror,
            shared: stores.shared,
            clock: self.clock,
            lease_time: self.runs.lease,
            settings: self.lister,
            wording: worker.wording,
        }));
        let runs = Arc::new(RunWorker {
            runs: stores.runs,
            run_operator: stores.run_operator,
            executors,
            settings: self.runs,
            gate: Arc::clone(&worker.gate),
            wording: worker.wording,
        });
        let scheduler = Scheduler {
            schedule: stores.schedule,
            runs: Arc::clone(&runs),
            specs: self.schedules,
            settings: self.scheduler,
            postponed: self.postponed,
            verifier: verifier.clone(),
        };
        Engine {
            worker: Arc::new(worker),
            runs,
            scheduler: Arc::new(scheduler),
            relay: relay.map(Arc::new),
            outbound,
            lists,
            verifier,
            mirror,
            clock,
        }
    }

    /// Builds the engine and starts it.
    #[must_use]
    pub fn start(self) -> RunningEngine {
        self.build().start()
    }
}

/// An engine: a worker for items, a worker for runs, and a scheduler. Clones share all of them.
///
/// # Example
/// ```
/// use std::sync::Arc;
///
/// use serde_json::json;
/// use tds_core::{memory::MemoryStore, prelude::*, testkit::ScriptedSource};
///
/// const PRODUCTS: EntityType = EntityType::from_static("products");
/// const SCHEMA: MirrorSchema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let source = Arc::new(ScriptedSource::new(SCHEMA, Arc::new(SystemClock)));
/// for (id, name) in [("1", "lamp"), ("2", "chair"), ("3", "table")] {
///     source.put(RecordBuilder::new(&PRODUCTS, id).fields(json!({"name": name})));
/// }
/// let store = MemoryStore::default();
/// let engine = Engine::builder(Stores::new(&store, store.clone())).source(source.clone()).start();
/// let full = || NewRun::new(PRODUCTS, RunType::Full, "scripted", "example");
///
/// let run = engine.sync(full()).await?;
/// assert_eq!((run.total_items, run.unchanged_items), (3, 0));
/// assert_eq!(store.rows(&PRODUCTS).len(), 3);
///
/// // The next full sync writes only what changed. A record that the list lacks is read by id, and then marked as
/// // deleted.
/// source.put(RecordBuilder::new(&PRODUCTS, "2").fields(json!({"name": "armchair"})));
/// source.remove("3");
/// let run = engine.sync(full()).await?;
/// assert_eq!((run.status.as_str(), run.unchanged_items), ("completed", 1));
/// let rows = store.rows(&PRODUCTS);
/// assert_eq!(rows[&RecordId::new("2")].fields["name"], "armchair");
/// assert!(rows[&RecordId::new("3")].deleted_at.is_some());
/// engine.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    /// The worker for items, for programs that start the tasks themselves.
    pub worker: Arc<Worker>,
    /// The worker for runs, for programs that start the tasks themselves.
    pub runs: Arc<RunWorker>,
    /// The scheduler, for programs that start the tasks themselves.
    pub scheduler: Arc<Scheduler>,
    /// The relay of local changes, for programs that start the tasks themselves; `None` without an outbox.
    pub relay: Option<Arc<Relay>>,
    outbound: Option<OutboundStores>,
    lists: Lists,
    verifier: Option<Arc<Verifier>>,
    mirror: Arc<dyn Mirror>,
    clock: Arc<dyn Clock>,
}

impl Engine {
    /// Creates a builder for an engine over these stores.
    #[must_use]
    pub fn builder(stores: Stores) -> EngineBuilder {
        let worker = Worker::new(Arc::clone(&stores.queue), Registry::default(), WorkerSettings::default());
        EngineBuilder {
            stores,
            worker,
            executors: Vec::new(),
            clock: Arc::new(SystemClock),
            runs: RunSettings::default(),
            lister: ListerSettings::default(),
            verify: VerifySettings::default(),
            scheduler: SchedulerSettings::default(),
            schedules: Vec::new(),
            postponed: Arc::new(|_| false),
            derived: None,
            followed: Arc::default(),
        }
    }

    /// Returns the ports of outbound work, if the stores have them.
    #[must_use]
    pub fn outbound(&self) -> Option<&OutboundStores> {
        self.outbound.as_ref()
    }

    /// Returns the handlers and sources of the engine.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.worker.registry
    }

    /// Refuses what [`Engine::create_run`] refuses, without asking the store. Use this method to create either all of
    /// several runs or none.
    ///
    /// # Errors
    /// `Invalid`: this engine cannot execute the run.
    pub fn check_run(&self, run: &NewRun) -> Result<()> {
        self.runs.check(run)
    }

    /// Returns the plan of a run that is about to be created, if it is known before the run begins: the plan of
    /// a run with a selection. `None` for other runs, which plan when they begin.
    ///
    /// # Errors
    /// `Invalid`: this engine cannot execute the run. Any other kind: the store cannot be asked.
    pub async fn estimate_run(&self, run: &NewRun) -> Result<Option<RunPlan>> {
        self.runs.estimate(run).await
    }

    /// Returns what is known about the list of each entity type with a source, in order, with these schedules.
    ///
    /// # Errors
    /// A store cannot be asked.
    pub async fn list_loads(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ListLoad>> {
        self.lists.loads(self.registry(), schedules).await
    }

    /// Returns what would become of work on a record, without writing anything. Records that have to be read are read
    /// from the source, in the lane of operators.
    ///
    /// # Errors
    /// The mirror cannot be asked.
    pub async fn preview(&self, key: &RecordKey, work: &Work) -> Result<Vec<Preview>> {
        let source = |entity: &EntityType| self.registry().source(entity).cloned();
        preview(&self.mirror, &self.clock, source, key, work).await
    }

    /// Creates a run.
    ///
    /// # Errors
    /// `Invalid`: this engine has no executor for runs of the type, or the executor refuses the run; the lister
    /// refuses a run of an entity type without a source. `Conflict`: a run of the entity type is active.
    pub async fn create_run(&self, run: NewRun) -> Result<Run> {
        if let Some(verifier) = self.verifier.as_ref().filter(|_| run.run_type == RunType::Verify) {
            verifier.watch.begin();
        }
        self.runs.create(run).await
    }

    /// Completes the verifications whose runs have ended: repairs are looked at, and the checks of money are made.
    /// Returns true if a verification is still under way. The leader among the processes does so by itself.
    ///
    /// # Errors
    /// A store cannot be reached.
    pub async fn finish_verifications(&self) -> Result<bool> {
        match &self.verifier {
            Some(verifier) => verifier.finish_all().await,
            None => Ok(false),
        }
    }

    /// Runs until the shutdown signal.
    pub async fn run(&self, shutdown: Shutdown) {
        let relay = async {
            if let Some(relay) = &self.relay {
                relay.run(shutdown.clone()).await;
            }
        };
        tokio::join!(
            self.worker.run(shutdown.clone()),
            self.runs.run(None, shutdown.clone()),
            self.scheduler.run(shutdown.clone()),
            relay
        );
    }

    /// Starts the engine. The worker, the worker for runs and the scheduler each have their own task, so that a
    /// panic of one does not end the others.
    #[must_use]
    pub fn start(self) -> RunningEngine {
        let (trigger, shutdown) = ShutdownTrigger::new();
        let mut tasks = JoinSet::new();
        let Self { worker, runs, scheduler, relay, .. } = self.clone();
        let (for_worker, for_runs) = (shutdown.clone(), shutdown.clone());
        tasks.spawn(async move { worker.run(for_worker).await });
        tasks.spawn(async move { runs.run(None, for_runs).await });
        if let Some(relay) = relay {
            let for_relay = shutdown.clone();
            tasks.spawn(async move { relay.run(for_relay).await });
        }
        tasks.spawn(async move { scheduler.run(shutdown).await });
        RunningEngine { engine: self, trigger, tasks }
    }
}

/// A running engine. It runs until [`RunningEngine::stop`] is called or this value is dropped.
pub struct RunningEngine {
    engine: Engine,
    trigger: ShutdownTrigger,
    tasks: JoinSet<()>,
}

impl RunningEngine {
    /// Creates a run and waits for its end. The duration depends on the limits and the outages of the source.
    ///
    /// # Errors
    /// The errors of [`Engine::create_run`], and errors of a store that cannot be asked. A run that fails is not an
    /// error of this method: its status shows the failure.
    pub async fn sync(&self, run: NewRun) -> Result<Run> {
        let mut run = self.engine.create_run(run).await?;
        while run.status.is_active() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let now = self.engine.runs.run_operator.get_run(run.id).await?;
            run = now.ok_or_else(|| Error::not_found(format!("run {} no longer exists", run.id)))?;
        }
        Ok(run)
    }

    /// Completes the verifications whose runs have ended; see [`Engine::finish_verifications`].
    ///
    /// # Errors
    /// A store cannot be reached.
    pub async fn finish_verifications(&self) -> Result<bool> {
        self.engine.finish_verifications().await
    }

    /// Stops the engine. Claimed items and runs are finished or given back.
    pub async fn stop(mut self) {
        self.trigger.shutdown();
        while self.tasks.join_next().await.is_some() {}
    }
}
