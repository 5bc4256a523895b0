//! The scheduler: it starts runs when their schedules are due. One leader among all processes looks for due schedules.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{RunWorker, verifier::Verifier};
use crate::{
    error::{ErrorKind, Result},
    queue::WorkerId,
    record::EntityType,
    runs::{NewRun, RunType, VerifyPart},
    shutdown::Shutdown,
};

/// A schedule: it starts runs of one type for one entity type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleSpec {
    /// The entity type of the runs.
    pub entity: EntityType,
    /// The type of the runs.
    pub run_type: RunType,
    /// The period of the schedule.
    pub every: Duration,
}

/// The state of schedules, shared by all processes.
///
/// # Contract
/// - At most one process is the leader at a time.
/// - A schedule that is due is returned to one caller, and is then due again one period later.
/// - A schedule that the store sees for the first time is due after one period, so that a restart starts no runs.
/// - A period that became shorter than before takes effect at once.
///
/// # Errors
/// A method fails only if the store cannot be reached.
#[async_trait]
pub trait Schedule: Send + Sync {
    /// Makes the process the leader, or keeps it the leader, for the duration of the lease. Returns false while another
    /// process is the leader.
    async fn lead(&self, worker: &WorkerId, lease: Duration) -> Result<bool>;

    /// Gives up the leadership, if this process is the leader.
    async fn resign(&self, worker: &WorkerId) -> Result<()>;

    /// Returns the schedules that are due, and makes each of them due again one period later. A schedule that
    /// is seen for the first time is due after one period, so that a restart starts no runs.
    async fn due(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ScheduleSpec>>;
}

/// The settings of a scheduler.
#[derive(Clone, Debug)]
pub struct SchedulerSettings {
    /// The name under which this process is the leader.
    pub worker: WorkerId,
    /// How often to look for schedules that are due.
    pub tick: Duration,
    /// The source type of the runs that the scheduler creates.
    pub source_type: String,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self { worker: WorkerId::unique(), tick: Duration::from_secs(5), source_type: "source".to_owned() }
    }
}

/// A function that returns true for a schedule that has to wait.
pub type Postponed = Arc<dyn Fn(&ScheduleSpec) -> bool + Send + Sync>;

/// Creates runs when their schedules are due.
pub struct Scheduler {
    pub(super) schedule: Arc<dyn Schedule>,
    pub(super) runs: Arc<RunWorker>,
    pub(super) specs: Vec<ScheduleSpec>,
    pub(super) settings: SchedulerSettings,
    pub(super) postponed: Postponed,
    pub(super) verifier: Option<Arc<Verifier>>,
}

impl Scheduler {
    /// Looks for due schedules until the shutdown signal, and then gives up the leadership.
    pub async fn run(&self, shutdown: Shutdown) {
        while !shutdown.is_set() {
            if let Err(error) = self.look().await {
                tracing::warn!(error = %error.chain(), "the schedules could not be checked; trying again");
            }
            shutdown.sleep(self.settings.tick).await;
        }
        if let Err(error) = self.schedule.resign(&self.settings.worker).await {
            tracing::debug!(error = %error.chain(), "the leadership could not be given up; it ends with its lease");
        }
    }

    /// Completes verifications, and creates the runs of the schedules that are due, if this process is the leader.
    pub async fn look(&self) -> Result<()> {
        let leads = !self.specs.is_empty()
            && self.schedule.lead(&self.settings.worker, self.settings.tick * 3).await?;
        if let Some(verifier) = self.verifier.as_ref().filter(|verifier| verifier.watch.is_due(leads)) {
            verifier.finish_all().await?;
        }
        if !leads {
            return Ok(());
        }
        // A schedule that is not passed to `due` stays due.
        let specs: Vec<ScheduleSpec> =
            self.specs.iter().filter(|spec| !(self.postponed)(spec)).cloned().collect();
        // The comparisons that are due together are one verification, which the first of them begins.
        let mut verification = None;
        for spec in self.schedule.due(&specs).await? {
            let source_type = self.settings.source_type.as_str();
            let run = NewRun::new(spec.entity.clone(), spec.run_type, source_type, "schedule");
            let verify =
                (spec.run_type == RunType::Verify).then_some(VerifyPart { verification, repair: false });
            match self.runs.create(NewRun { verify, ..run }).await {
                Ok(run) => {
                    verification = verification.or(verify.map(|_| run.id));
                    tracing::info!(run = %run.id, entity = %spec.entity, kind = spec.run_type.as_str(), "scheduled run")
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    tracing::info!(
                        entity = %spec.entity,
                        "the scheduled run is skipped, because a run of the entity type is active"
                    );
                }
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    tracing::error!(entity = %spec.entity, error = %error.chain(), "scheduled run refused");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
