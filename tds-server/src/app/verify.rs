//! Verifications: start them, and read their reports.

use std::time::Duration;

use tds_core::{
    error::Result,
    record::EntityType,
    runs::{NewRun, Run, RunFilter, RunId, RunStatus, RunType, VerifyPart},
    shutdown::Shutdown,
    verify::VerificationReport,
};

use super::{
    refusal::Refusal,
    runs::{Runs, Started, entities},
    services::{Ports, Services},
};

/// The number of records that differ that a report names for each entity type. The counts include all of them.
const EXAMPLES: usize = 20;

/// The request for a verification.
#[derive(Clone)]
pub(crate) struct Request {
    /// The entity types; `None` for all that the organization has.
    pub(crate) entities: Option<Vec<EntityType>>,
    /// Whether records that differ are read again and written.
    pub(crate) repair: bool,
    /// The origin of the request: `api` or `cli`.
    pub(crate) requested_by: &'static str,
}

/// The operations of operators on verifications.
#[derive(Clone)]
pub(crate) struct Verifications(pub(crate) Ports);

impl Verifications {
    /// Starts a run for each entity type that was asked for and is not being compared. All of these runs are one
    /// verification. If the engine cannot execute one of the runs, none is started.
    pub(crate) async fn start(&self, services: &Services, request: Request) -> Result<Started, Refusal> {
        let (engine, runs) = (&services.engine, Runs(self.0.clone()));
        let wanted = entities(services, request.entities)?.into_iter();
        let run_of = |entity| NewRun::new(entity, RunType::Verify, "zoho", request.requested_by);
        let wanted: Vec<NewRun> = wanted.map(run_of).collect();
        wanted.iter().try_for_each(|run| engine.check_run(run)).map_err(Refusal::Run)?;
        let (mut started, mut verification) = (Started::default(), None);
        for run in wanted {
            let verify = Some(VerifyPart { verification, repair: request.repair });
            match runs.start_one(engine, NewRun { verify, ..run }).await {
                Ok(Ok(run)) => {
                    verification = verification.or(Some(run.id));
                    started.runs.push(run);
                }
                Ok(Err(active)) => started.active.push(active),
                Err(error) => {
                    runs.take_back(&started.runs).await;
                    return Err(error.into());
                }
            }
        }
        Ok(started)
    }

    /// Returns the report of one verification.
    pub(crate) async fn find(&self, id: i64) -> Result<VerificationReport, Refusal> {
        let report = self.0.verify.report(Some(RunId(id)), EXAMPLES).await?;
        report.ok_or(Refusal::Unknown("verification", id))
    }

    /// Returns the report of the newest verification, which may still be running.
    pub(crate) async fn latest(&self) -> Result<Option<VerificationReport>> {
        self.0.verify.report(None, EXAMPLES).await
    }
}

/// The time between two looks for verifications to complete while runs compare. The runs of a verification that repairs end
/// with their last item.
const LOOK_SOON: Duration = Duration::from_secs(2);
/// The time between two looks while no run compares.
const LOOK: Duration = Duration::from_secs(30);

/// Completes verifications, in any process that works, until the shutdown signal.
pub(crate) async fn complete(services: Services, shutdown: Shutdown) {
    while !shutdown.is_set() {
        let wait = match look(&services).await {
            Ok(true) => LOOK_SOON,
            Ok(false) => LOOK,
            Err(error) => {
                tracing::warn!(error = %error.chain(), "verifications could not be completed; trying again");
                LOOK
            }
        };
        shutdown.sleep(wait).await;
    }
}

/// Completes verifications. Returns true if runs compare now.
async fn look(services: &Services) -> Result<bool> {
    let Some(verifier) = &services.engine.verifier else { return Ok(false) };
    verifier.finish().await?;
    let (run_type, status) = (Some(RunType::Verify), Some(RunStatus::Running));
    let filter = RunFilter { run_type, status, entity: None };
    Ok(!services.ports.runs.list_runs(&filter, 1, None).await?.items.is_empty())
}

/// Returns the verification that these runs belong to.
pub(crate) fn verification_of(runs: &[Run]) -> Option<RunId> {
    runs.iter().find_map(|run| run.verify?.verification)
}

/// Returns true if nothing differs: no record, and no sum of money. Runs that did not end well say nothing about the rest
/// of the records.
pub(crate) fn is_sound(report: &VerificationReport) -> bool {
    report.drift_total() == 0 && report.money.iter().all(|row| row.holds)
}
