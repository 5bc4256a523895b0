//! The application: build it, ask for its port, and run it until it is stopped.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tds_core::shutdown::ShutdownTrigger;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    app::{
        credentials,
        health::{
            ConflictsProbe, DatabaseProbe, Health, InventoryProbe, MigrationsProbe, Probe, QueueProbe,
            RulesProbe, SchedulerProbe, VerificationProbe, WebhooksProbe, WorkersProbe, ZohoProbe,
        },
    },
    config::Config,
    engine::{BuildError, Engine},
    entities::Entities,
    http::{
        listen, router,
        state::{AppState, RequestLimits, RouteSettings},
    },
    service::ServiceManager,
    supervise::Supervisor,
};

/// The time limit for the metrics listener at shutdown. It answers until the end.
const METRICS_TIME: Duration = Duration::from_millis(500);

/// The time limit for storing how long the last answers took, at shutdown.
const ANSWERS_TIME: Duration = Duration::from_millis(700);

/// A TDS server whose listeners are bound.
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) state: AppState,
    supervisor: Supervisor,
    listener: TcpListener,
    address: SocketAddr,
    metrics: Option<TcpListener>,
    manager: ServiceManager,
    shutdown_delay: Duration,
}

/// The reason why a running application ended with an error.
#[derive(Debug, thiserror::Error)]
#[error("the metrics listener ended: {0}")]
pub struct RunError(String);

impl App {
    /// Calls [`App::build_with`] with the entity types of TDS.
    ///
    /// # Errors
    /// Like [`App::build_with`].
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        Self::build_with(config, &Entities::default()).await
    }

    /// Binds the listeners, opens the database, migrates it and builds all parts. Nothing is served yet.
    ///
    /// # Errors
    /// See [`BuildError`]. An address that is already in use is [`BuildError::Failed`].
    pub async fn build_with(config: Config, entities: &Entities) -> Result<Self, BuildError> {
        let listener = bind("TDS_BIND", config.http.bind).await?;
        let address = listener.local_addr().map_err(|error| BuildError::Failed(error.to_string()))?;
        let metrics = match config.http.metrics_bind {
            Some(address) => Some(bind("TDS_METRICS_BIND", address).await?),
            None => None,
        };
        let engine = Engine::build(&config, entities).await?;
        let supervisor = Supervisor::default();
        let health = health(&config, &engine, &supervisor);
        let settings = RouteSettings {
            auth: config.auth,
            webhooks: config.webhooks,
            allowed_hosts: config.http.allowed_hosts,
            metrics_apart: metrics.is_some(),
            costs: engine.costs.clone(),
            limits: RequestLimits::default(),
        };
        let state = AppState::new(engine.services.clone(), settings, health);
        state.watch_storage(&engine.storage.database, &engine.storage.store);
        let (manager, shutdown_delay) = (ServiceManager::default(), config.http.shutdown_delay);
        Ok(Self { engine, state, supervisor, listener, address, metrics, manager, shutdown_delay })
    }

    /// Sets the service manager that is told when the server is ready, stops, and is alive.
    #[must_use]
    pub fn reporting_to(mut self, manager: ServiceManager) -> Self {
        self.manager = manager;
        self
    }

    /// Returns the address of the main listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of `/metrics`, if `/metrics` has its own listener.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves and works until `shutdown`. Then `/readyz` answers 503 and, after the delay of the configuration, no new
    /// connections are accepted. Requests in work, workers, bulk syncs and the scheduler end concurrently. Events that wait for a commit are committed,
    /// connections close, and the private cluster stops. Each step has a time limit: if the database does not
    /// answer, the shutdown takes at most nine seconds after the delay, and unfinished items come back when their leases end.
    ///
    /// # Errors
    /// Fails if a listener cannot continue.
    pub async fn run_until_stopped(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { engine, state, supervisor, listener, address, metrics, manager, shutdown_delay } = self;
        tracing::info!(%address, database = engine.storage.database.target(), "listening");
        let tasks = engine.start(None, &supervisor);
        let (stop_healing, healing_stopped) = ShutdownTrigger::new();
        let healing = {
            let state = state.clone();
            supervisor.spawn("heal", healing_stopped, move |shutdown| state.heal(shutdown))
        };
        let (stop_answers, answers_stopped) = ShutdownTrigger::new();
        let refused = {
            let (state, store) = (state.clone(), engine.storage.store.clone());
            supervisor.spawn("refused webhooks", answers_stopped.clone(), move |shutdown| async move {
                state.webhooks.store_refused(store, shutdown).await;
            })
        };
        let answers = {
            let state = state.clone();
            supervisor.spawn("answers", answers_stopped, move |shutdown| state.store_answers(shutdown))
        };
        let checking = {
            let store = engine.storage.store.clone();
            tokio::spawn(credentials::test_at_start(engine.services.zoho.clone(), store))
        };
        let (stop_metrics, metrics_stopped) = oneshot::channel::<()>();
        let metrics = metrics.map(|listener| {
            let stopped = async { drop(metrics_stopped.await) };
            tokio::spawn(listen::serve(listener, router::metrics_only(state.clone()), stopped))
        });

        let (stop_work, work_stopped) = oneshot::channel::<()>();
        let (draining, told) = (state.clone(), manager.clone());
        let stop = async move {
            shutdown.await;
            tracing::info!("stopping");
            draining.start_draining();
            told.stopping();
            // Proxies that ask /readyz send no more requests after this time.
            tokio::time::sleep(shutdown_delay).await;
            drop(stop_work);
        };
        let work = async move {
            drop(work_stopped.await);
            checking.abort();
            stop_healing.shutdown();
            healing.abort();
            tasks.stop().await;
        };
        let reported = state.clone();
        let served = async { tokio::join!(listen::serve(listener, router::router(state), stop), work) };
        tokio::select! {
            _ = served => {}
            () = manager.accompany(&reported, &supervisor) => {}
        }

        // The last requests are answered, so the times of all answers are known.
        stop_answers.shutdown();
        drop(tokio::time::timeout(ANSWERS_TIME, async { tokio::join!(answers, refused) }).await);
        drop(stop_metrics);
        let ended = match metrics {
            Some(task) => metrics_end(task).await,
            None => Ok(()),
        };
        engine.close().await;
        tracing::info!("stopped");
        ended
    }
}

async fn metrics_end(mut task: JoinHandle<()>) -> Result<(), RunError> {
    match tokio::time::timeout(METRICS_TIME, &mut task).await {
        Ok(ended) => ended.map_err(|error| RunError(error.to_string())),
        Err(_) => {
            task.abort();
            Ok(())
        }
    }
}

async fn bind(variable: &str, address: SocketAddr) -> Result<TcpListener, BuildError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| BuildError::Failed(format!("{variable}: cannot listen on {address}: {error}")))
}

fn health(config: &Config, engine: &Engine, supervisor: &Supervisor) -> Health {
    let (services, database) = (&engine.services, &engine.storage.database);
    let (concurrency, zoho) = (config.worker.concurrency, &services.zoho);
    let mut probes: Vec<Arc<dyn Probe>> = vec![
        Arc::new(DatabaseProbe(database.clone())),
        Arc::new(MigrationsProbe::new(database.clone())),
        Arc::new(WorkersProbe { concurrency, supervisor: supervisor.clone() }),
        Arc::new(SchedulerProbe {
            services: services.clone(),
            schedules: engine.costs.schedules.clone(),
            started_at: services.clock.now(),
        }),
        Arc::new(ZohoProbe(zoho.clone())),
        Arc::new(InventoryProbe(zoho.clone())),
        Arc::new(QueueProbe {
            queue: Arc::clone(&services.ports.queue),
            clock: Arc::clone(&services.clock),
            concurrency,
        }),
        Arc::new(VerificationProbe(Arc::clone(&services.ports.verify))),
        Arc::new(WebhooksProbe(config.webhooks.verification())),
        Arc::new(RulesProbe(engine.storage.store.clone())),
    ];
    if let Some(outbound) = &services.ports.outbound {
        probes.push(Arc::new(ConflictsProbe(Arc::clone(&outbound.operator))));
    }
    Health::new(probes)
}
