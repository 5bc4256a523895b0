//! The builder of an engine.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    Engine, ListerSettings, Postponed, PushHandler, Random, Registry, Relay, RunExecutor, RunSettings,
    RunWorker, RunningEngine, ScheduleSpec, Scheduler, SchedulerSettings, SourceGate, Stores, Worker,
    WorkerSettings,
    lister::Lister,
    lists::Lists,
    verifier::{Verifier, VerifySettings, Watch},
};
use crate::{
    clock::{Clock, SystemClock},
    handler::{BatchHandler, FollowSettings, MirrorHandler},
    hint::Wording,
    outbound::RemoteWriter,
    record::EntityType,
    source::Source,
};

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

impl Engine {
    /// Creates a builder for an engine over these stores.
    #[must_use]
    pub fn builder(stores: Stores) -> EngineBuilder {
        EngineBuilder::new(stores)
    }
}

impl EngineBuilder {
    /// Creates a builder with the default settings.
    fn new(stores: Stores) -> Self {
        let worker = Worker::new(Arc::clone(&stores.queue), Registry::default(), WorkerSettings::default());
        Self {
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
