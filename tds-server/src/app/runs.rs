//! Sync runs: start, find, cancel, resume, and release held deletions.

use tds_core::{
    engine::{Engine, Registry},
    error::{Error, ErrorKind, Result},
    queue::Page,
    record::{DateRange, EntityType, RecordId},
    runs::{NewRun, Run, RunFilter, RunId, RunPlan, RunStatus, RunType, Selection},
};
use time::{
    Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description,
};

use super::{
    refusal::Refusal,
    services::{Ports, Services, is_lacking},
};

/// The modes of a bulk sync.
pub(crate) const MODES: [RunType; 2] = [RunType::Full, RunType::Incremental];

/// The number of attempts to create a run while the run before it ends at the same time.
const TRIES: u32 = 3;

/// The request for a bulk sync.
#[derive(Clone)]
pub(crate) struct BulkSync {
    pub(crate) run_type: RunType,
    /// Only changes since this time are read. Only an incremental sync accepts it.
    pub(crate) since: Option<OffsetDateTime>,
    /// Only this part of the entity types is read.
    pub(crate) selection: Option<Selection>,
    /// The origin of the request: `api`, `cli` or `demo`.
    pub(crate) requested_by: &'static str,
}

impl BulkSync {
    /// Checks that the mode, `since` and the selection fit together.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match (self.run_type, self.since, &self.selection) {
            (_, Some(_), Some(_)) => {
                Err(Refusal::Selection("since cannot be combined with dates or ids".to_owned()))
            }
            (RunType::Full, Some(_), None) => Err(Refusal::SinceOfFullRun),
            _ => Ok(()),
        }
    }

    /// Checks that the selection fits these entity types.
    fn check_selection(&self, registry: &Registry, entities: &[EntityType]) -> Result<(), Refusal> {
        let has_dates = |entity: &&EntityType| {
            registry.source(entity).is_some_and(|source| source.profile().date_column.is_some())
        };
        match &self.selection {
            Some(Selection::Ids(_)) if entities.len() != 1 => Err(Refusal::IdsOfSeveral),
            Some(Selection::Dates(_)) if !entities.iter().all(|entity| has_dates(&entity)) => {
                let refused = entities.iter().filter(|entity| !has_dates(entity)).cloned().collect();
                let possible = registry.polled().filter(has_dates).cloned().collect();
                Err(Refusal::NoDates { refused, possible })
            }
            _ => Ok(()),
        }
    }

    fn run_of(&self, entity: EntityType) -> NewRun {
        let (since, selection) = (self.since, self.selection.clone());
        NewRun { since, selection, ..NewRun::new(entity, self.run_type, "zoho", self.requested_by) }
    }
}

/// The result of a request for a bulk sync.
#[derive(Default)]
pub(crate) struct Started {
    /// The new runs.
    pub(crate) runs: Vec<Run>,
    /// The runs that were already active. No run was started for their entity types.
    pub(crate) active: Vec<Run>,
}

/// Parses `since` as operators write it: a time with its zone, or a date, which means its first moment in UTC.
pub(crate) fn parse_since(text: &str) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().map(|time| time.to_offset(UtcOffset::UTC));
    time.or_else(|| parse_day(text).map(|date| date.midnight().assume_utc()))
}

/// Returns the selection of dates or ids that a request names, or `None` if it names neither.
pub(crate) fn selection(
    (from, to): (Option<Date>, Option<Date>),
    ids: Option<Vec<String>>,
) -> Result<Option<Selection>, Refusal> {
    let refused = |error: Error| Refusal::Selection(error.to_string());
    match (from.or(to), ids) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Refusal::Selection("dates and ids cannot be combined".to_owned())),
        (Some(_), None) => {
            DateRange::new(from, to).map(|dates| Some(Selection::Dates(dates))).map_err(refused)
        }
        (None, Some(ids)) => Selection::ids(ids.into_iter().map(RecordId::new)).map(Some).map_err(refused),
    }
}

/// Parses a day as operators write it: `2026-11-20`.
pub(crate) fn parse_day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

/// Returns the entity types to sync, each once, in the order asked for. All of them are those that the organization has.
pub(super) fn entities(services: &Services, asked: Option<Vec<EntityType>>) -> Result<Vec<EntityType>, Refusal> {
    let Services { engine, catalogue, zoho, .. } = services;
    let Some(asked) = asked else {
        let polled = engine.registry().polled().filter(|entity| !is_lacking(catalogue, zoho, entity));
        return Ok(polled.cloned().collect());
    };
    let mut entities: Vec<EntityType> = Vec::new();
    for entity in asked {
        if engine.registry().source(&entity).is_none() {
            return Err(Refusal::NotSynced(entity));
        }
        if !entities.contains(&entity) {
            entities.push(entity);
        }
    }
    if entities.is_empty() { Err(Refusal::NoEntity) } else { Ok(entities) }
}

/// The operations of operators on runs.
#[derive(Clone)]
pub(crate) struct Runs(pub(crate) Ports);

impl Runs {
    /// Starts a run of each entity type that was asked for and has no active run. `None` asks for all entity types that
    /// can be listed, except those that an organization without Inventory does not have. If the engine cannot execute
    /// one of the runs, none is started.
    pub(crate) async fn start(
        &self,
        services: &Services,
        asked: Option<Vec<EntityType>>,
        sync: &BulkSync,
    ) -> Result<Started, Refusal> {
        let engine = &services.engine;
        let mut started = Started::default();
        for (run, plan) in self.plan(services, asked, sync).await? {
            match self.start_one(engine, run).await {
                Ok(Ok(run)) => started.runs.push(Run { plan, ..run }),
                Ok(Err(active)) => started.active.push(active),
                Err(error) => {
                    // The new runs are cancelled, so that a bulk sync that cannot be stored as a whole can be repeated
                    // as a whole.
                    self.take_back(&started.runs).await;
                    return Err(error.into());
                }
            }
        }
        Ok(started)
    }

    /// Returns the runs that a bulk sync would start, each with its plan where it reads a selection. Nothing is started.
    pub(crate) async fn plan(
        &self,
        services: &Services,
        asked: Option<Vec<EntityType>>,
        sync: &BulkSync,
    ) -> Result<Vec<(NewRun, Option<RunPlan>)>, Refusal> {
        let (entities, engine) = (entities(services, asked)?, &services.engine);
        sync.check()?;
        sync.check_selection(engine.registry(), &entities)?;
        let runs: Vec<NewRun> = entities.into_iter().map(|entity| sync.run_of(entity)).collect();
        runs.iter().try_for_each(|run| engine.check_run(run)).map_err(Refusal::Run)?;
        let mut planned = Vec::with_capacity(runs.len());
        for run in runs {
            let plan = if run.selection.is_some() { engine.estimate_run(&run).await? } else { None };
            planned.push((run, plan));
        }
        Ok(planned)
    }

    /// Returns the new run as `Ok(Ok(run))`, or the active run of the entity type as `Ok(Err(run))`.
    pub(super) async fn start_one(&self, engine: &Engine, run: NewRun) -> Result<Result<Run, Run>> {
        let mut tries = TRIES;
        loop {
            let refused = match engine.create_run(run.clone()).await {
                Err(error) if error.kind() == ErrorKind::Conflict => error,
                other => return other.map(Ok),
            };
            for status in [RunStatus::Pending, RunStatus::Running] {
                // A comparison and a download of images may be active beside a sync.
                let (entity, status) = (Some(run.entity.clone()), Some(status));
                let filter = RunFilter { entity, status, run_type: None };
                let active = self.0.runs.list_runs(&filter, RunType::ALL.len(), None).await?.items;
                if let Some(run) = active.into_iter().find(|it| it.run_type.excludes(run.run_type)) {
                    return Ok(Err(run));
                }
            }
            // The active run ended between the attempt to create a run and the search for the active one.
            tries -= 1;
            if tries == 0 {
                return Err(refused);
            }
        }
    }

    pub(super) async fn take_back(&self, created: &[Run]) {
        for run in created {
            if let Err(error) = self.0.runs.cancel(run.id).await {
                tracing::warn!(
                    run = run.id.0, error = %error.chain(),
                    "a run that was just created could not be cancelled"
                );
            }
        }
    }

    /// Returns one page of runs, newest first.
    pub(crate) async fn list(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Run>> {
        self.0.runs.list_runs(filter, limit, cursor).await
    }

    /// Returns one run.
    pub(crate) async fn find(&self, id: i64) -> Result<Run, Refusal> {
        self.0.runs.get_run(RunId(id)).await?.ok_or(Refusal::Unknown("run", id))
    }

    /// Returns these runs as they are now.
    pub(crate) async fn latest(&self, runs: &[Run]) -> Result<Vec<Run>, Refusal> {
        let mut latest = Vec::with_capacity(runs.len());
        for run in runs {
            latest.push(self.find(run.id.0).await?);
        }
        Ok(latest)
    }

    /// Cancels a run. The changes that the run has already made stay.
    pub(crate) async fn cancel(&self, id: i64) -> Result<Run, Refusal> {
        let run = self.find(id).await?;
        Ok(self.0.runs.cancel(run.id).await?)
    }

    /// Lets a failed, cancelled or incomplete run continue at its checkpoint.
    pub(crate) async fn resume(&self, id: i64) -> Result<Run, Refusal> {
        let run = self.find(id).await?;
        Ok(self.0.runs.resume(run.id).await?)
    }

    /// Releases the deletions that the mass-delete guard held back. Returns the number of released deletions.
    pub(crate) async fn confirm_deletions(&self, id: i64) -> Result<u64, Refusal> {
        let run = self.find(id).await?;
        Ok(self.0.runs.confirm_deletions(run.id).await?)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::parse_since;

    #[test]
    fn a_time_needs_its_zone_and_a_date_means_midnight() {
        assert_eq!(parse_since("2026-11-20T08:00:00+03:00"), Some(datetime!(2026-11-20 05:00 UTC)));
        assert_eq!(parse_since("2026-11-20"), Some(datetime!(2026-11-20 00:00 UTC)));
        assert!(parse_since("2026-11-20T08:00:00").is_none());
    }
}
