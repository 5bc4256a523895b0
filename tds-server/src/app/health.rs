//! How this process is: one entry per component.

mod parts;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::parts::{
    DatabaseProbe, InventoryProbe, MigrationsProbe, QueueProbe, SchedulerProbe, WebhooksProbe, WorkersProbe,
    ZohoProbe,
};

/// A component must answer after this.
const PATIENCE: Duration = Duration::from_secs(2);

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthStatus {
    /// All is well.
    Healthy,
    /// Ingest and queue work; something else has trouble.
    Degraded,
    /// Webhooks cannot be kept.
    Unhealthy,
}

impl HealthStatus {
    pub(crate) const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Unhealthy];

    /// The name as it is shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How one component is.
#[derive(Clone, Debug)]
pub struct ComponentHealth {
    /// How it is.
    pub state: HealthStatus,
    /// In words, for a person.
    pub detail: String,
}

impl ComponentHealth {
    /// All is well.
    pub fn healthy(detail: impl Into<String>) -> Self {
        Self { state: HealthStatus::Healthy, detail: detail.into() }
    }

    /// Trouble that does not touch ingest and queue.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self { state: HealthStatus::Degraded, detail: detail.into() }
    }

    /// Webhooks cannot be kept.
    pub fn unhealthy(detail: impl Into<String>) -> Self {
        Self { state: HealthStatus::Unhealthy, detail: detail.into() }
    }
}

/// Looks at one component.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Its name in the report.
    fn name(&self) -> &'static str;

    /// True where the process cannot keep webhooks without it.
    fn is_essential(&self) -> bool {
        false
    }

    /// Looks.
    async fn check(&self) -> ComponentHealth;
}

/// How this process is.
#[derive(Clone, Debug)]
pub struct HealthReport {
    /// The worst of all components.
    pub status: HealthStatus,
    /// Each component.
    pub components: BTreeMap<&'static str, ComponentHealth>,
}

/// All components of a process.
#[derive(Clone, Default)]
pub struct Health {
    probes: Vec<Arc<dyn Probe>>,
}

impl Health {
    /// Components to look at.
    #[must_use]
    pub fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes }
    }

    /// Looks at all components at once.
    pub async fn report(&self) -> HealthReport {
        self.look(|_| true).await
    }

    /// What keeps the process from taking webhooks; `None`: nothing does.
    pub async fn not_ready(&self) -> Option<String> {
        let report = self.look(|probe| probe.is_essential()).await;
        let troubles = report.components.iter().filter(|(_, part)| part.state != HealthStatus::Healthy);
        let texts: Vec<String> = troubles.map(|(name, part)| format!("{name}: {}", part.detail)).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    async fn look(&self, wanted: impl Fn(&dyn Probe) -> bool) -> HealthReport {
        let chosen = self.probes.iter().filter(|probe| wanted(probe.as_ref()));
        let checks = chosen.map(|probe| async move { (probe.name(), look_at(probe.as_ref()).await) });
        let components: BTreeMap<_, _> = futures_util::future::join_all(checks).await.into_iter().collect();
        let worst = components.values().map(|component| component.state).max();
        HealthReport { status: worst.unwrap_or(HealthStatus::Healthy), components }
    }
}

async fn look_at(probe: &dyn Probe) -> ComponentHealth {
    match tokio::time::timeout(PATIENCE, probe.check()).await {
        Ok(component) => component,
        Err(_) if probe.is_essential() => ComponentHealth::unhealthy("no answer in time"),
        Err(_) => ComponentHealth::degraded("no answer in time"),
    }
}
