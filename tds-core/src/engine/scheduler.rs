//! When runs start by themselves: one leader among all processes asks what is due.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    error::{ErrorKind, Result},
    queue::WorkerId,
    record::EntityType,
    runs::{NewRun, RunType, SyncRunOperator},
    shutdown::Shutdown,
};

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleSpec {
    /// Of what.
    pub entity: EntityType,
    /// Which kind of run.
    pub run_type: RunType,
    /// How often.
    pub every: Duration,
}

/// The memory of schedules, shared by all processes.
#[async_trait]
pub trait Schedule: Send + Sync {
    /// Becomes or stays the leader for this long; false while another process is.
    async fn lead(&self, worker: &WorkerId, lease: Duration) -> Result<bool>;

    /// Gives leadership up.
    async fn resign(&self, worker: &WorkerId) -> Result<()>;

    /// The schedules that are due; each is then due again one period later. One that is seen for the first
    /// time is due after one period, so that a restart starts nothing.
    async fn due(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ScheduleSpec>>;
}

/// How a scheduler looks.
#[derive(Clone, Debug)]
pub struct SchedulerSettings {
    /// The name under which this process leads.
    pub worker: WorkerId,
    /// How often to look for what is due.
    pub tick: Duration,
    /// The source type of the runs that start.
    pub source_type: String,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self { worker: WorkerId::unique(), tick: Duration::from_secs(5), source_type: "source".to_owned() }
    }
}

/// Says of a schedule whether it has to wait.
pub type Postponed = Arc<dyn Fn(&ScheduleSpec) -> bool + Send + Sync>;

/// Starts runs when they are due.
pub struct Scheduler {
    schedule: Arc<dyn Schedule>,
    runs: Arc<dyn SyncRunOperator>,
    specs: Vec<ScheduleSpec>,
    settings: SchedulerSettings,
    postponed: Postponed,
}

impl Scheduler {
    pub(super) fn new(
        schedule: Arc<dyn Schedule>,
        runs: Arc<dyn SyncRunOperator>,
        specs: Vec<ScheduleSpec>,
        settings: SchedulerSettings,
        postponed: Postponed,
    ) -> Self {
        Self { schedule, runs, specs, settings, postponed }
    }

    /// Runs until the signal.
    pub async fn run(&self, shutdown: Shutdown) {
        while !shutdown.is_set() {
            if let Err(error) = self.look().await {
                tracing::warn!(error = %error.chain(), "schedules could not be looked at; trying again");
            }
            shutdown.sleep(self.settings.tick).await;
        }
        if let Err(error) = self.schedule.resign(&self.settings.worker).await {
            tracing::debug!(error = %error.chain(), "leadership ends by its lease");
        }
    }

    /// Starts what is due, where this process leads.
    pub async fn look(&self) -> Result<()> {
        if self.specs.is_empty() || !self.schedule.lead(&self.settings.worker, self.settings.tick * 3).await?
        {
            return Ok(());
        }
        // Who is not asked for stays due.
        let specs: Vec<ScheduleSpec> =
            self.specs.iter().filter(|spec| !(self.postponed)(spec)).cloned().collect();
        for spec in self.schedule.due(&specs).await? {
            let run = NewRun {
                entity: spec.entity.clone(),
                run_type: spec.run_type,
                source_type: self.settings.source_type.clone(),
                since: None,
                requested_by: "schedule".to_owned(),
            };
            match self.runs.create(run).await {
                Ok(run) => {
                    tracing::info!(run = %run.id, entity = %spec.entity, kind = spec.run_type.as_str(), "scheduled run")
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    tracing::info!(entity = %spec.entity, "scheduled run skipped: one is active");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
