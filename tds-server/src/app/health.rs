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

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::lock::lock;

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

    /// Checks the component. Returns `None` if its health cannot be read.
    async fn check(&self) -> Option<ComponentHealth>;
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
    /// The last known health of each component.
    last: Arc<Mutex<BTreeMap<&'static str, ComponentHealth>>>,
}

impl Health {
    /// Creates a `Health` that checks these components.
    #[must_use]
    pub fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes, last: Arc::default() }
    }

    /// Checks all components concurrently. While an essential component fails, the others keep their last known
    /// health if it cannot be read: the failure of the database is no trouble of Zoho or of the schedules.
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
        let looks = futures_util::future::join_all(checks).await;
        let mut last = lock(&self.last);
        let fails = looks.iter().any(|(_, look)| look.fails());
        let health = |(name, look): (&'static str, Look)| (name, look.in_report(last.get(name), fails));
        let components: BTreeMap<_, _> = looks.iter().cloned().map(health).collect();
        last.extend(looks.into_iter().filter_map(|(name, look)| Some((name, look.known()?))));
        let worst = components.values().map(|component| component.state).max();
        HealthReport { status: worst.unwrap_or(HealthStatus::Healthy), components }
    }
}

/// What one look at a component found.
#[derive(Clone)]
enum Look {
    Known(ComponentHealth),
    Unreadable,
    Late,
}

impl Look {
    /// Returns true if the process cannot store webhooks.
    fn fails(&self) -> bool {
        matches!(self, Self::Known(component) if component.state == HealthStatus::Unhealthy)
    }

    fn known(self) -> Option<ComponentHealth> {
        match self {
            Self::Known(component) => Some(component),
            Self::Unreadable | Self::Late => None,
        }
    }

    /// Returns what a report says. `last`: the last known health. `fails`: whether an essential component fails.
    fn in_report(self, last: Option<&ComponentHealth>, fails: bool) -> ComponentHealth {
        let trouble = match self {
            Self::Known(component) => return component,
            Self::Unreadable => "cannot be read",
            Self::Late => "no answer in time",
        };
        match last {
            Some(ComponentHealth { state, detail }) if fails => {
                ComponentHealth { state: *state, detail: format!("when it could last be read: {detail}") }
            }
            _ => ComponentHealth::degraded(trouble),
        }
    }
}

async fn look_at(probe: &dyn Probe) -> Look {
    match tokio::time::timeout(PATIENCE, probe.check()).await {
        Ok(Some(component)) => Look::Known(component),
        Ok(None) => Look::Unreadable,
        Err(_) if probe.is_essential() => Look::Known(ComponentHealth::unhealthy("no answer in time")),
        Err(_) => Look::Late,
    }
}
