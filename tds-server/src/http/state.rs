//! What the routes work on.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tds_core::shutdown::Shutdown;
use tokio::sync::Semaphore;

use crate::{
    app::{
        activity::Activity, events::Events, heal::Healer, health::Health, items::Items, runs::Runs,
        services::Services,
    },
    config::{AuthConfig, WebhookConfig},
    http::{metrics::Metrics, routes::webhooks::Refusals},
};

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
    pub(crate) runs: Runs,
    pub(crate) items: Items,
    pub(crate) events: Events,
    pub(crate) activity: Activity,
    pub(crate) auth: AuthConfig,
    pub(crate) webhooks: WebhookConfig,
    pub(crate) allowed_hosts: Option<Vec<String>>,
    pub(crate) metrics_apart: bool,
    pub(crate) limits: RequestLimits,
    pub(crate) body_bytes: Arc<Semaphore>,
    pub(crate) refusals: Refusals,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    draining: AtomicBool,
}

impl AppState {
    /// Puts the parts together.
    #[must_use]
    pub fn new(services: Services, settings: RouteSettings, health: Health) -> Self {
        Self(Arc::new(Shared {
            runs: Runs::new(Arc::clone(&services.runs)),
            items: Items::new(Arc::clone(&services.queue)),
            events: Events::new(Arc::clone(&services.events), services.catalogue.clone()),
            activity: Activity::new(services.clone()),
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

    /// Mends what lost its items, until the signal.
    pub(crate) async fn heal(self, shutdown: Shutdown) {
        let healer = Healer {
            runs: self.runs.clone(),
            items: self.items.clone(),
            events: self.events.clone(),
            organization: self.services.zoho.organization_id().to_owned(),
        };
        healer.run(|kind, count| self.metrics.healed(kind, count), shutdown).await;
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
