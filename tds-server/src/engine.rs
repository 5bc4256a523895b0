//! The engine without HTTP: storage, Zoho, handlers, and the long tasks that drive them.

mod cluster;
mod error;
mod presence;
mod prune;
mod quota;
pub(crate) mod schedules;
mod storage;
mod tasks;

use std::sync::Arc;

use tds_core::{
    clock::{Clock, SystemClock},
    engine::{
        Bulk, BulkSettings, Registry, Schedule, ScheduleSpec, Scheduler, SourceGate, Worker, WorkerSettings,
    },
    handler::MirrorHandler,
    mirror::Mirror,
    queue::{Queue, WorkerId},
    runs::SyncRun,
};
use tds_postgres::{Database, PgMirror, PgStore};
use tds_zoho::{ZohoClient, ZohoConfig, entities::Catalogue};
use tokio::time::Duration;

#[cfg(all(feature = "embedded", feature = "sim"))]
pub(crate) use self::cluster::ClusterConfig;
pub(crate) use self::cluster::EmbeddedCluster;
pub use self::{
    error::BuildError,
    storage::Storage,
    tasks::{RunningTasks, Tasks},
};
use crate::{config::Config, entities::Entities};

/// How often the scheduler looks at what is due.
const SCHEDULER_TICK: Duration = Duration::from_secs(5);

/// What an engine is made of. Clones share everything.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub database: Database,
    /// Inbox, queue, runs and schedules.
    pub store: PgStore,
    /// The ERP tables.
    pub mirror: PgMirror,
    /// The entity types.
    pub catalogue: Catalogue,
    /// Sources and handlers of all entity types.
    pub registry: Registry,
    /// Zoho.
    pub zoho: ZohoClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The runs that start by themselves.
    pub schedules: Vec<ScheduleSpec>,
}

/// Batches in work may go on so long after the signal; the whole process has ten seconds.
const GRACE: Duration = Duration::from_secs(5);

/// Giving permits back is a courtesy to other copies: it takes no longer than this.
const GIVE_BACK_TIME: Duration = Duration::from_millis(500);

/// Store, registry, worker, bulk sync and scheduler, without HTTP.
pub struct Engine {
    parts: Parts,
    storage: Storage,
    name: WorkerId,
    worker: Arc<Worker>,
    concurrency: usize,
    bulk: Arc<Bulk>,
    scheduler: Arc<Scheduler>,
    retention: Duration,
}

impl Engine {
    /// Opens the database, brings its schema up to date and puts the engine of these entity types together. Nothing
    /// works yet: see [`Engine::start`].
    ///
    /// # Errors
    /// [`BuildError::Config`] for a wrong configuration, [`BuildError::Failed`] where something does not answer.
    pub async fn build(config: &Config, entities: &Entities) -> Result<Self, BuildError> {
        let zoho = config.zoho.clone().ok_or(BuildError::NoZoho)?;
        zoho.validate()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let storage = Storage::open_with(&config.database, config.ingest.settings()).await?;
        match Self::compose(config, entities, zoho, clock, storage.clone_handles()).await {
            Ok(parts) => Ok(Self::assemble(config, parts, storage)),
            Err(error) => {
                storage.close().await;
                Err(error)
            }
        }
    }

    async fn compose(
        config: &Config,
        entities: &Entities,
        zoho: ZohoConfig,
        clock: Arc<dyn Clock>,
        (database, store): (Database, PgStore),
    ) -> Result<Parts, BuildError> {
        let report = database.migrate_with(&entities.migrations, &config.erp_readers).await?;
        tracing::info!(
            database = database.target(),
            from = report.from,
            version = report.to,
            applied = report.applied.len(),
            "the schema is up to date"
        );
        for note in &report.notes {
            tracing::warn!("{note}");
        }
        let zoho =
            ZohoClient::shared(zoho, Arc::clone(&clock), Arc::new(store.clone()), Arc::new(store.clone()))?;
        let mirror = PgMirror::new(database.clone());
        let catalogue = entities.catalogue.clone();
        let registry = registry(&catalogue, &zoho, &mirror, &clock);
        let schedules = schedules::specs(&config.schedules, &catalogue, &registry);
        Ok(Parts { database, store, mirror, catalogue, registry, zoho, clock, schedules })
    }

    fn assemble(config: &Config, parts: Parts, storage: Storage) -> Self {
        let worker = WorkerId::unique();
        let queue: Arc<dyn Queue> = Arc::new(parts.store.clone());
        let runs: Arc<dyn SyncRun> = Arc::new(parts.store.clone());
        let mirror: Arc<dyn Mirror> = Arc::new(parts.mirror.clone());
        let schedule: Arc<dyn Schedule> = Arc::new(parts.store.clone());
        let worker_settings = WorkerSettings {
            worker: worker.clone(),
            concurrency: config.worker.concurrency,
            lease: config.worker.lease,
            policy: config.worker.policy,
            grace: GRACE,
            ..WorkerSettings::default()
        };
        let bulk_settings = BulkSettings {
            worker: worker.clone(),
            lease: config.worker.lease,
            probe_every: config.schedules.probe,
            ..BulkSettings::default()
        };
        let scheduler = Scheduler::new(
            schedule,
            Arc::clone(&runs),
            parts.schedules.clone(),
            worker,
            SCHEDULER_TICK,
            "zoho",
        );
        // Without an access token this process leaves work and runs to others, and to later.
        let zoho = parts.zoho.clone();
        let gate: SourceGate = Arc::new(move || zoho.may_ask());
        let (zoho, catalogue) = (parts.zoho.clone(), parts.catalogue.clone());
        let scheduler = scheduler.postponing(Arc::new(move |spec| {
            schedules::is_postponed(&catalogue, &spec.entity, spec.run_type, zoho.throttle())
        }));
        Self {
            name: worker_settings.worker.clone(),
            worker: Arc::new(
                Worker::new(queue, parts.registry.clone(), worker_settings).with_gate(Arc::clone(&gate)),
            ),
            concurrency: config.worker.concurrency,
            bulk: Arc::new(
                Bulk::new(parts.registry.clone(), runs, mirror, Arc::clone(&parts.clock), bulk_settings)
                    .with_gate(gate),
            ),
            scheduler: Arc::new(scheduler),
            retention: config.retention,
            parts,
            storage,
        }
    }

    /// What the engine is made of.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Gives permits for Zoho back, closes the store and the database, in this order. Stop the tasks first.
    pub async fn close(self) {
        if tokio::time::timeout(GIVE_BACK_TIME, self.parts.zoho.close()).await.is_err() {
            tracing::debug!("permits were not given back in time; they run out by themselves");
        }
        self.storage.close().await;
    }
}

/// Every entity type of the catalogue, mirrored.
fn registry(catalogue: &Catalogue, zoho: &ZohoClient, mirror: &PgMirror, clock: &Arc<dyn Clock>) -> Registry {
    let mirror: Arc<dyn Mirror> = Arc::new(mirror.clone());
    catalogue.sources(zoho).into_iter().fold(Registry::new(), |registry, source| {
        let handler = MirrorHandler::new(Arc::clone(&source), Arc::clone(&mirror), Arc::clone(clock));
        registry.with_source(source).with_handler(Arc::new(handler))
    })
}
