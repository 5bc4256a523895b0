//! The health of the scheduler: whether scheduled runs start, and whether they end well.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tds_core::{
    clock::Clock,
    engine::ScheduleSpec,
    runs::{RunFilter, RunStatus, SyncRunOperator},
};
use tds_zoho::{ZohoClient, entities::Catalogue};
use time::OffsetDateTime;

use crate::app::{
    budget::is_postponed,
    health::{ComponentHealth, Probe},
    services::Services,
};

/// A schedule is late when this many of its periods have passed without an ended run.
const PERIODS: u32 = 3;
/// A schedule is late only after this time as well, so that a slow run of a short period causes no alarm.
const GRACE: Duration = Duration::from_secs(600);

/// Checks the newest run of every schedule.
pub struct SchedulerProbe {
    runs: Arc<dyn SyncRunOperator>,
    clock: Arc<dyn Clock>,
    schedules: Vec<ScheduleSpec>,
    started_at: OffsetDateTime,
    zoho: ZohoClient,
    catalogue: Catalogue,
}

impl SchedulerProbe {
    /// Creates a probe that checks these schedules.
    #[must_use]
    pub fn new(services: &Services, schedules: Vec<ScheduleSpec>) -> Self {
        let clock = Arc::clone(&services.clock);
        Self {
            runs: Arc::clone(&services.ports.runs),
            zoho: services.zoho.clone(),
            catalogue: services.catalogue.clone(),
            started_at: clock.now(),
            clock,
            schedules,
        }
    }

    /// Returns what is wrong with a schedule, or `None`.
    async fn trouble(&self, spec: &ScheduleSpec) -> tds_core::error::Result<Option<String>> {
        let filter = RunFilter { entity: Some(spec.entity.clone()), status: None };
        let runs = self.runs.list_runs(&filter, 20, None).await?.items;
        let mut ended = runs.iter().filter(|run| run.run_type == spec.run_type && !run.status.is_active());
        let name = format!("{} {}", spec.run_type.as_str(), spec.entity);
        let Some(latest) = ended.next() else {
            let waiting = runs.iter().any(|run| run.status.is_active());
            let late = !waiting && self.is_late(spec, self.started_at);
            return Ok(late.then(|| format!("{name}: no run since the start of the server")));
        };
        if latest.status == RunStatus::Failed {
            return Ok(Some(format!("{name}: run {} failed", latest.id)));
        }
        if latest.held_deletions > 0 {
            return Ok(Some(format!(
                "{name}: run {} holds deletions back until a person confirms them",
                latest.id
            )));
        }
        let since = latest.completed_at.map_or(self.started_at, |ended| ended.max(self.started_at));
        let waiting = runs.iter().any(|run| run.status.is_active());
        Ok((!waiting && self.is_late(spec, since)).then(|| format!("{name}: no run since {since}")))
    }

    fn is_late(&self, spec: &ScheduleSpec, since: OffsetDateTime) -> bool {
        // A schedule that is postponed to save calls is not late.
        if is_postponed(&self.catalogue, &spec.entity, spec.run_type, self.zoho.throttle()) {
            return false;
        }
        let patience = spec.every.saturating_mul(PERIODS).max(GRACE);
        self.clock.now() - since > patience
    }
}

#[async_trait]
impl Probe for SchedulerProbe {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    async fn check(&self) -> ComponentHealth {
        if self.schedules.is_empty() {
            return ComponentHealth::healthy("all schedules are off");
        }
        let mut troubles = Vec::new();
        let looks = self.schedules.iter().map(|spec| self.trouble(spec));
        for look in futures_util::future::join_all(looks).await {
            match look {
                Ok(trouble) => troubles.extend(trouble),
                Err(_) => return ComponentHealth::degraded("the runs cannot be read"),
            }
        }
        if troubles.is_empty() {
            return ComponentHealth::healthy(format!("{} schedules", self.schedules.len()));
        }
        ComponentHealth::degraded(troubles.join("; "))
    }
}
