//! The health of the scheduler: whether scheduled runs start, and whether they end well.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use tds_core::{
    engine::ScheduleSpec,
    error::Result,
    runs::{RunFilter, RunStatus},
};
use time::OffsetDateTime;

use super::{ComponentHealth, Probe};
use crate::app::{
    budget::is_postponed,
    services::{Services, is_lacking},
};

/// A schedule is late when this many of its periods have passed without an ended run.
const PERIODS: u32 = 3;
/// A schedule is late only after this time as well, so that a slow run of a short period causes no alarm.
const GRACE: Duration = Duration::from_secs(600);

/// Checks the newest run of every schedule.
pub(crate) struct SchedulerProbe {
    pub(crate) services: Services,
    pub(crate) schedules: Vec<ScheduleSpec>,
    pub(crate) started_at: OffsetDateTime,
}

impl SchedulerProbe {
    /// Returns what is wrong with a schedule, or `None`.
    async fn trouble(&self, spec: &ScheduleSpec) -> Result<Option<String>> {
        let (entity, run_type) = (Some(spec.entity.clone()), Some(spec.run_type));
        let filter = RunFilter { entity, run_type, status: None };
        let runs = self.services.ports.runs.list_runs(&filter, 5, None).await?.items;
        let mut ended = runs.iter().filter(|run| !run.status.is_active());
        let name = format!("{} {}", spec.run_type.as_str(), spec.entity);
        let late = |since| !runs.iter().any(|run| run.status.is_active()) && self.is_late(spec, since);
        let Some(latest) = ended.next() else {
            let text = || format!("{name}: no run since the start of the server");
            return Ok(late(self.started_at).then(text));
        };
        if latest.status == RunStatus::Failed {
            return Ok(Some(format!("{name}: run {} failed", latest.id)));
        }
        if latest.held_deletions > 0 {
            return Ok(Some(format!(
                "{name}: run {} holds deletions back until an operator confirms them",
                latest.id
            )));
        }
        let since = latest.completed_at.map_or(self.started_at, |ended| ended.max(self.started_at));
        Ok(late(since).then(|| format!("{name}: no run since {since}")))
    }

    fn is_late(&self, spec: &ScheduleSpec, since: OffsetDateTime) -> bool {
        // A schedule that is postponed to save calls is not late.
        let Services { catalogue, zoho, clock, .. } = &self.services;
        if is_postponed(catalogue, &spec.entity, spec.run_type, zoho.throttle()) {
            return false;
        }
        let patience = spec.every.saturating_mul(PERIODS).max(GRACE);
        clock.now() - since > patience
    }
}

#[async_trait]
impl Probe for SchedulerProbe {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        if self.schedules.is_empty() {
            return Some(ComponentHealth::healthy("all schedules are off"));
        }
        // What the organization does not have is reported by the component of Inventory.
        let Services { catalogue, zoho, .. } = &self.services;
        let present = self.schedules.iter().filter(|spec| !is_lacking(catalogue, zoho, &spec.entity));
        let looks = present.map(|spec| self.trouble(spec));
        let troubles: Vec<String> = try_join_all(looks).await.ok()?.into_iter().flatten().collect();
        Some(if troubles.is_empty() {
            ComponentHealth::healthy(format!("{} schedules", self.schedules.len()))
        } else {
            ComponentHealth::degraded(troubles.join("; "))
        })
    }
}
