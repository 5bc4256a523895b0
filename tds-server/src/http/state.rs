//! The state of the routes.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tds_core::shutdown::Shutdown;
use tds_postgres::{Database, PgStore};
use tokio::sync::Semaphore;

use crate::{
    app::{
        activity::Activity, answers::AnswerBook, directions::Directions, dry_run::DryRun, events::Events,
        explain::Explain, heal, health::Health, items::Items, outbox::LocalChanges, plan::CostSettings,
        runs::Runs, services::Services, verify::Verifications, webhooks::Webhooks,
    },
    config::{AuthConfig, WebhookConfig},
    http::metrics::Metrics,
};

/// The settings of the routes.
#[derive(Clone, Debug, Default)]
pub struct RouteSettings {
    /// The tokens of the operator API.
    pub auth: AuthConfig,
    /// How webhooks are authenticated.
    pub webhooks: WebhookConfig,
    /// The accepted `Host` values. `None` accepts any value.
    pub allowed_hosts: Option<Vec<String>>,
    /// `true` if `/metrics` has its own listener.
    pub metrics_apart: bool,
    /// The limits of the duration of requests and of the memory of bodies.
    pub limits: RequestLimits,
    /// What determines the costs of a day.
    pub costs: CostSettings,
}

/// The limits of requests. The defaults are right for a server; tests use shorter times.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// The time within which a body must be complete.
    pub body_time: Duration,
    /// The time within which a request must be answered.
    pub request_time: Duration,
    /// The bytes that the large bodies of all requests together may have in memory. A request beyond them is answered
    /// 503.
    pub body_bytes: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_time: Duration::from_secs(15),
            request_time: Duration::from_secs(30),
            body_bytes: 64 * 1024 * 1024,
        }
    }
}

/// The state of the router. Clones are cheap.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// The parts that the clones of an [`AppState`] share.
pub struct Shared {
    pub(crate) services: Services,
    pub(crate) settings: RouteSettings,
    pub(crate) runs: Runs,
    pub(crate) verifications: Verifications,
    pub(crate) items: Items,
    pub(crate) events: Events,
    pub(crate) explain: Explain,
    pub(crate) dry_run: DryRun,
    pub(crate) directions: Directions,
    pub(crate) local_changes: LocalChanges,
    pub(crate) activity: Activity,
    pub(crate) webhooks: Webhooks,
    pub(crate) body_bytes: Arc<Semaphore>,
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) answers: AnswerBook,
    draining: AtomicBool,
}

impl AppState {
    /// Creates the state from its parts.
    #[must_use]
    pub fn new(services: Services, settings: RouteSettings, health: Health) -> Self {
        Self(Arc::new(Shared {
            runs: Runs(services.ports.clone()),
            verifications: Verifications(services.ports.clone()),
            items: Items(services.ports.clone()),
            events: Events { ports: services.ports.clone(), catalogue: services.catalogue.clone() },
            explain: Explain { ports: services.ports.clone(), catalogue: services.catalogue.clone() },
            dry_run: DryRun(services.clone()),
            directions: Directions { ports: services.ports.clone(), catalogue: services.catalogue.clone() },
            local_changes: LocalChanges(services.ports.clone()),
            activity: Activity::new(services.clone()),
            webhooks: Webhooks::new(services.clone(), settings.webhooks.clone()),
            body_bytes: Arc::new(Semaphore::new(settings.limits.body_bytes.min(Semaphore::MAX_PERMITS))),
            metrics: Metrics::new(&services, &settings.costs),
            services,
            settings,
            health,
            answers: AnswerBook::default(),
            draining: AtomicBool::new(false),
        }))
    }

    /// Returns the parts that the use cases work on.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// Adds the figures of the database, of its connections and of the commits of webhooks to the metrics.
    pub(crate) fn watch_storage(&self, database: &Database, store: &PgStore) {
        self.metrics.watch_storage(database, store);
    }

    /// Makes `/readyz` answer 503 from now on.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Repairs events, runs and waiters that lost their items, until the shutdown signal.
    pub(crate) async fn heal(self, shutdown: Shutdown) {
        let organization = self.services.zoho.organization_id();
        heal::run(&self.events, organization, |kind, count| self.metrics.healed(kind, count), shutdown).await;
    }

    /// Stores how long the answers take, until the shutdown signal.
    pub(crate) async fn store_answers(self, shutdown: Shutdown) {
        match &self.services.ports.measured {
            Some(measured) => self.answers.run(Arc::clone(&measured.measures), shutdown).await,
            None => shutdown.wait().await,
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
