//! The engine without HTTP: storage, Zoho client, handlers, and the long tasks that drive them.

mod cluster;
mod error;
mod schedules;
mod storage;
mod tasks;

use std::sync::Arc;

use tds_core::{
    clock::{Clock, SystemClock},
    engine::{
        ImageDownloads, ListerSettings, RunSettings, SchedulerSettings, Stores, VerifySettings, VerifyStores,
        WorkerSettings,
    },
    handler::IgnoringHandler,
    queue::WorkerId,
    verify::ListSumsCheck,
};
use tds_postgres::{MigrationSettings, PgImages, PgMirror};
use tds_zoho::{HiddenValues, ZohoClient, ZohoConfig, ZohoImages};
use tokio::time::Duration;

#[cfg(all(feature = "embedded", feature = "sim"))]
pub(crate) use self::cluster::ClusterConfig;
pub use self::error::BuildError;
#[cfg(test)]
pub(crate) use self::schedules::specs;
pub(crate) use self::{cluster::EmbeddedCluster, storage::Storage, tasks::RunningTasks};
use crate::{
    app::{
        budget::is_postponed,
        plan::CostSettings,
        presence::REPORT_EVERY,
        rules::Rules,
        services::{Ports, Services, is_lacking},
        unknown_fields,
    },
    config::Config,
    entities::Entities,
    hint,
    images::ImageStore,
};

/// The bounds of the time between two looks of the scheduler at what is due. Within the bounds, the time is a sixtieth
/// of the shortest period.
const SCHEDULER_TICK: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];

/// The shortest time between two looks for runs of processes that died. The time is a sixth of the lease, so that
/// another process takes such a run over soon after the lease has ended.
const RUN_POLL: Duration = Duration::from_secs(2);
/// The time between two looks if the report of a server, which asks the same, comes at least as often as a sixth of the
/// lease ends.
const RUN_POLL_BESIDE_REPORTS: Duration = Duration::from_secs(30);

/// The time that batches have to finish after the shutdown signal. The whole process has ten seconds.
const GRACE: Duration = Duration::from_secs(5);

/// The time limit for giving permits back, which only helps other processes: the permits also expire by themselves.
const GIVE_BACK_TIME: Duration = Duration::from_millis(500);

/// The number of months whose sums in the list are compared with the rows, for each entity type whose list states sums.
const MONTHS_OF_SUMS: u16 = 12;

/// The time limit for the last write of what was gathered. The names of unknown fields come again.
const LAST_WRITE_TIME: Duration = Duration::from_millis(500);

/// Returns what a program with this configuration and these entity types adds to the schema.
pub(crate) fn migration_settings<'a>(config: &'a Config, entities: &'a Entities) -> MigrationSettings<'a> {
    MigrationSettings {
        organization: config.organization_id.as_deref(),
        further: &entities.migrations,
        readers: &config.erp_readers,
        custom_columns: &config.custom_columns,
        write_guard: config.write_guard.as_ref(),
        restored: false,
        fills_local_ids: false,
    }
}

/// Storage, Zoho client and engine, without HTTP.
pub(crate) struct Engine {
    pub(crate) storage: Storage,
    pub(crate) services: Services,
    /// The schedules of the runs that start by themselves, and what else determines the costs of a day.
    pub(crate) costs: CostSettings,
    rules: Rules,
    name: WorkerId,
    concurrency: usize,
    retention: Duration,
    payload_retention: Duration,
}

impl Engine {
    /// Opens the database, migrates its schema and builds the engine of these entity types. No task runs yet: see
    /// [`Engine::start`].
    ///
    /// # Errors
    /// [`BuildError::Config`] for a wrong configuration, [`BuildError::Failed`] if something does not answer.
    pub(crate) async fn build(config: &Config, entities: &Entities) -> Result<Self, BuildError> {
        let zoho = config.zoho.clone().ok_or(BuildError::NoZoho)?;
        zoho.validate()?;
        // A name that does not exist is reported before anything is opened.
        config.catalogue(&entities.catalogue)?;
        let storage = Storage::open(&config.database, config.ingest.clone()).await?;
        let name = WorkerId::unique();
        let composed = match Self::migrate(config, entities, &storage).await {
            Ok(()) => Self::compose(config, entities, zoho, &storage, &name),
            Err(error) => Err(error),
        };
        match composed {
            Ok((services, costs)) => Ok(Self {
                rules: Rules::of(config, &services.catalogue),
                storage,
                services,
                costs,
                name,
                concurrency: config.worker.concurrency,
                retention: config.retention,
                payload_retention: config.privacy.payload_retention,
            }),
            Err(error) => {
                storage.close().await;
                Err(error)
            }
        }
    }

    async fn migrate(config: &Config, entities: &Entities, storage: &Storage) -> Result<(), BuildError> {
        let database = &storage.database;
        let report = database.migrate_with(&migration_settings(config, entities)).await?;
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
        let zoho = config.zoho.as_ref().ok_or(BuildError::NoZoho)?;
        storage.store.claim_organization(&zoho.organization_id).await?;
        let hidden = HiddenValues(config.catalogue(&entities.catalogue)?);
        let redacted = database.redact(&hidden).await?;
        if redacted > 0 {
            tracing::info!(rows = redacted, "values of hidden columns were removed from stored rows");
        }
        Ok(())
    }

    /// Builds the parts of the application over a migrated database. Nothing is sent and nothing is read.
    ///
    /// # Errors
    /// Like [`Engine::build`].
    pub(crate) fn compose(
        config: &Config,
        entities: &Entities,
        zoho: ZohoConfig,
        Storage { database, store, .. }: &Storage,
        name: &WorkerId,
    ) -> Result<(Services, CostSettings), BuildError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let shared = Arc::new(store.clone());
        let zoho = ZohoClient::shared(zoho, Arc::clone(&clock), shared.clone(), shared)?;
        let catalogue = config.catalogue(&entities.catalogue)?;
        let mut schedules = schedules::specs(&config.schedules, &catalogue);
        schedules.extend(schedules::images(&config.images, &catalogue));

        let worker = WorkerSettings {
            worker: name.clone(),
            concurrency: config.worker.concurrency,
            lease: config.worker.lease,
            policy: config.worker.policy,
            grace: GRACE,
            ..WorkerSettings::default()
        };
        let lease = config.worker.lease;
        let poll = if lease / 6 < REPORT_EVERY { (lease / 6).max(RUN_POLL) } else { RUN_POLL_BESIDE_REPORTS };
        let runs = RunSettings { worker: name.clone(), lease, poll, ..RunSettings::default() };
        let lister = ListerSettings { probe_every: config.schedules.probe, ..ListerSettings::default() };
        let shortest = schedules.iter().map(|spec| spec.every).min().unwrap_or_default();
        let tick = (shortest / 60).clamp(SCHEDULER_TICK[0], SCHEDULER_TICK[1]);
        let scheduler = SchedulerSettings { worker: name.clone(), tick, source_type: "zoho".to_owned() };
        let (asked, throttled, polled) = (zoho.clone(), zoho.clone(), catalogue.clone());
        let sources = catalogue.sources(&zoho);
        let ports = Arc::new(store.clone());
        let money = ListSumsCheck::new(ports.clone(), &sources, MONTHS_OF_SUMS);
        let verify = VerifyStores { store: ports.clone(), operator: ports, money: Some(Arc::new(money)) };
        let persons = HiddenValues(catalogue.without_persons());
        let mirror = PgMirror::new(database.clone()).without_erased(Arc::new(persons));
        let stores = Stores::new(store, mirror).with_verify(verify).outbound(store);
        let builder = tds_core::engine::Engine::builder(stores)
            .clock(Arc::clone(&clock))
            .worker(worker)
            .derived(config.worker.derived_wait)
            .runs(runs)
            .wording(hint::command)
            .lister(lister)
            .verify(VerifySettings {
                sample: usize::try_from(config.verify_sample).unwrap_or(usize::MAX),
                ..VerifySettings::default()
            })
            .schedules(schedules.clone(), scheduler)
            // Without an access token, this process claims no items and no runs. Other processes, or this one later,
            // claim them.
            .gate(Arc::new(move || asked.may_ask()))
            .postponing(Arc::new(move |spec| {
                // Without Inventory, a run would only fail. What Inventory and Books have shows when it is there again.
                is_lacking(&polled, &throttled, &spec.entity)
                    || is_postponed(&polled, &spec.entity, spec.run_type, throttled.throttle())
            }));
        // The entity types that are not synced are known: the API shows them, and work for them ends as ignored.
        let others = catalogue.iter().filter(|descriptor| !catalogue.is_synced(descriptor.entity()));
        let builder = others.fold(builder, |builder, descriptor| {
            builder.handler(Arc::new(IgnoringHandler(descriptor.entity().clone())))
        });
        let builder = match &config.images.store {
            Some(images) => builder.executor(Arc::new(ImageDownloads {
                runs: Arc::new(store.clone()),
                source: Arc::new(ZohoImages::new(zoho.clone())),
                records: Arc::new(PgImages::new(database.clone())),
                files: Arc::new(ImageStore::open(images)?),
                clock: Arc::clone(&clock),
                wording: hint::command,
            })),
            None => builder,
        };
        let builder = sources.into_iter().fold(builder, |builder, source| builder.source(source));
        let writers = catalogue.writers(&zoho, &config.unique_field);
        let engine = writers.into_iter().fold(builder, |builder, writer| builder.writer(writer)).build();
        let costs = CostSettings {
            schedules,
            probe_every: config.schedules.probe,
            sample: config.verify_sample,
            derived: config.worker.derived_wait.is_some(),
        };
        let ports = Ports::new(store).measuring(store).pushing(store);
        Ok((Services { ports, catalogue, engine, zoho, clock }, costs))
    }

    /// Stores what was gathered, gives the permits for Zoho back, then closes the store and the database. Stop the tasks
    /// first.
    pub(crate) async fn close(self) {
        let storing = unknown_fields::store(&self.storage.store, &self.services.zoho);
        if tokio::time::timeout(LAST_WRITE_TIME, storing).await.is_err() {
            tracing::debug!("the names of unknown fields were not stored in time");
        }
        if tokio::time::timeout(GIVE_BACK_TIME, self.services.zoho.close()).await.is_err() {
            tracing::debug!("permits were not given back in time; they expire by themselves");
        }
        self.storage.close().await;
    }
}
