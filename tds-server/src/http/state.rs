//! What the routes work on.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tds_core::{
    clock::Clock,
    engine::Registry,
    inbox::{Inbox, InboxOperator},
    queue::QueueOperator,
    runs::SyncRun,
};
use tds_zoho::{ZohoClient, entities::Catalogue};
use tokio::sync::Semaphore;

use crate::{
    app::{activity::Activity, health::Health},
    config::{AuthConfig, WebhookConfig},
    http::{metrics::Metrics, routes::webhooks::Refusals},
};

/// The parts behind the routes, by what they do rather than by what they are.
#[derive(Clone)]
pub struct Services {
    /// Takes webhooks.
    pub inbox: Arc<dyn Inbox>,
    /// Shows and replays them.
    pub events: Arc<dyn InboxOperator>,
    /// Shows and changes queue items.
    pub queue: Arc<dyn QueueOperator>,
    /// The ledger of runs.
    pub runs: Arc<dyn SyncRun>,
    /// The entity types of Zoho that the program knows.
    pub catalogue: Catalogue,
    /// Which entity types exist.
    pub registry: Registry,
    /// Zoho.
    pub zoho: ZohoClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Settings of the routes.
#[derive(Clone, Debug, Default)]
pub struct RouteSettings {
    /// Who may use the operator API.
    pub auth: AuthConfig,
    /// How webhooks prove authentic.
    pub webhooks: WebhookConfig,
    /// Accepted `Host` values; `None`: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// `/metrics` has a listener of its own.
    pub metrics_apart: bool,
    /// How long requests and how large all bodies together may be.
    pub limits: RequestLimits,
}

/// What requests may take. The defaults are right for a server; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// A body must be here after this.
    pub body_time: Duration,
    /// A request must be answered after this.
    pub request_time: Duration,
    /// Bytes that large bodies may have in memory, all requests together; what is beyond that is answered 503.
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

/// State of the router; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// What [`AppState`] shares.
pub struct Shared {
    pub(crate) services: Services,
    pub(crate) auth: AuthConfig,
    pub(crate) webhooks: WebhookConfig,
    pub(crate) allowed_hosts: Option<Vec<String>>,
    pub(crate) metrics_apart: bool,
    pub(crate) limits: RequestLimits,
    pub(crate) body_bytes: Arc<Semaphore>,
    pub(crate) refusals: Refusals,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) activity: Activity,
    draining: AtomicBool,
}

impl AppState {
    /// Puts the parts together.
    #[must_use]
    pub fn new(services: Services, settings: RouteSettings, health: Health) -> Self {
        let activity = Activity::new(services.clone());
        Self(Arc::new(Shared {
            services,
            auth: settings.auth,
            webhooks: settings.webhooks,
            allowed_hosts: settings.allowed_hosts,
            metrics_apart: settings.metrics_apart,
            body_bytes: Arc::new(Semaphore::new(settings.limits.body_bytes.min(Semaphore::MAX_PERMITS))),
            refusals: Refusals::default(),
            limits: settings.limits,
            health,
            metrics: Metrics::new(),
            activity,
            draining: AtomicBool::new(false),
        }))
    }

    /// The parts behind the routes.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// From now on `/readyz` answers 503.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
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
