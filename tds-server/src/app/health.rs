//! The health of this process: one entry per component.

mod conflicts;
mod queue;
mod rules;
mod scheduler;
mod storage;
mod verification;
mod webhooks;
mod workers;
mod zoho;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;

pub(crate) use self::{
    conflicts::ConflictsProbe,
    queue::QueueProbe,
    rules::RulesProbe,
    scheduler::SchedulerProbe,
    storage::{DatabaseProbe, MigrationsProbe},
    verification::VerificationProbe,
    webhooks::WebhooksProbe,
    workers::WorkersProbe,
    zoho::{InventoryProbe, ZohoProbe},
};

/// The longest time that the check of a component may take.
const PATIENCE: Duration = Duration::from_secs(2);

tds_core::closed_set! {
    /// The health of a component, or of the process.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum HealthStatus {
        /// Everything works.
        Healthy = "healthy",
        /// The inbox and the queue work; another part has trouble.
        Degraded = "degraded",
        /// Webhooks cannot be stored.
        Unhealthy = "unhealthy",
    }
}

/// The health of one component.
#[derive(Clone, Debug)]
pub struct ComponentHealth {
    /// The status.
    pub state: HealthStatus,
    /// A human-readable explanation.
    pub detail: String,
}

impl ComponentHealth {
    /// A component that works.
    pub fn healthy(detail: impl Into<String>) -> Self {
        Self { state: HealthStatus::Healthy, detail: detail.into() }
    }

    /// A component with trouble that does not affect the inbox and the queue.
    pub fn degraded(detail: impl Into<String>) -> Self {
        Self { state: HealthStatus::Degraded, detail: detail.into() }
    }

    /// A component whose failure keeps webhooks from being stored.
    pub fn unhealthy(detail: impl Into<String>) -> Self {
        Self { state: HealthStatus::Unhealthy, detail: detail.into() }
    }
}

/// Checks one component.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Returns the name of the component in the report.
    fn name(&self) -> &'static str;

    /// Returns `true` if the process cannot store webhooks without this component.
    fn is_essential(&self) -> bool {
        false
    }

    /// Checks the component.
    async fn check(&self) -> ComponentHealth;
}

/// The health of this process.
#[derive(Clone, Debug)]
pub struct HealthReport {
    /// The worst status of all components.
    pub status: HealthStatus,
    /// The health of each component, by its name.
    pub components: BTreeMap<&'static str, ComponentHealth>,
}

/// The probes of all components of a process.
#[derive(Clone, Default)]
pub struct Health {
    probes: Vec<Arc<dyn Probe>>,
}

impl Health {
    /// Creates a `Health` that checks these components.
    #[must_use]
    pub fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes }
    }

    /// Checks all components concurrently.
    pub async fn report(&self) -> HealthReport {
        self.look(|_| true).await
    }

    /// Returns the reason why the process cannot take webhooks, or `None` if it can. Only essential components are
    /// checked.
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
