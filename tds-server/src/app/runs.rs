//! Sync runs: start, find, cancel, resume, release held deletions.

use std::sync::Arc;

use tds_core::{
    engine::Registry,
    error::{ErrorKind, Result},
    queue::Page,
    record::EntityType,
    runs::{NewRun, Run, RunFilter, RunId, RunStatus, RunType, SyncRunOperator},
};
use time::{
    Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description,
};

use super::refusal::Refusal;

/// How a bulk sync may read.
pub(crate) const MODES: [RunType; 2] = [RunType::Full, RunType::Incremental];

/// How often a run is asked for whose predecessor ends at the same time.
const TRIES: u32 = 3;

/// A bulk sync that somebody asks for.
#[derive(Clone, Copy)]
pub(crate) struct BulkSync {
    pub(crate) run_type: RunType,
    /// Only changes since then; incremental only.
    pub(crate) since: Option<OffsetDateTime>,
    /// `api` or `cli`.
    pub(crate) requested_by: &'static str,
}

impl BulkSync {
    /// Whether it makes sense.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        match (self.run_type, self.since) {
            (RunType::Full, Some(_)) => Err(Refusal::SinceOfFullRun),
            _ => Ok(()),
        }
    }
}

/// What became of a bulk sync.
#[derive(Default)]
pub(crate) struct Started {
    /// The new runs.
    pub(crate) runs: Vec<Run>,
    /// Runs that were active already: nothing was started for their entity types.
    pub(crate) active: Vec<Run>,
}

/// `since` as operators write it: a time with its zone, or a date, which means its first moment in UTC.
pub(crate) fn parse_since(text: &str) -> Option<OffsetDateTime> {
    let date = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().map(|time| time.to_offset(UtcOffset::UTC));
    time.or_else(|| date().map(|date| date.midnight().assume_utc()))
}

/// The entity types to sync, each once, in the order asked for; `None`: all that can be listed.
pub(crate) fn entities(
    registry: &Registry,
    asked: Option<Vec<EntityType>>,
) -> Result<Vec<EntityType>, Refusal> {
    let Some(asked) = asked else { return Ok(registry.polled().cloned().collect()) };
    let mut entities: Vec<EntityType> = Vec::new();
    for entity in asked {
        if registry.source(&entity).is_none() {
            return Err(Refusal::NoSource(entity));
        }
        if !entities.contains(&entity) {
            entities.push(entity);
        }
    }
    if entities.is_empty() { Err(Refusal::NoEntity) } else { Ok(entities) }
}

/// What operators do with runs.
#[derive(Clone)]
pub(crate) struct Runs(Arc<dyn SyncRunOperator>);

impl Runs {
    pub(crate) fn new(runs: Arc<dyn SyncRunOperator>) -> Self {
        Self(runs)
    }

    /// Starts a run of each entity type that no run is active of.
    pub(crate) async fn start(&self, entities: Vec<EntityType>, sync: BulkSync) -> Result<Started, Refusal> {
        sync.check()?;
        let mut started = Started::default();
        for entity in entities {
            match self.start_one(entity, sync).await {
                Ok(Ok(run)) => started.runs.push(run),
                Ok(Err(active)) => started.active.push(active),
                Err(error) => {
                    // A bulk sync that cannot be stored as a whole can be repeated as a whole.
                    self.take_back(&started.runs).await;
                    return Err(error.into());
                }
            }
        }
        Ok(started)
    }

    /// The new run, or the one that is active.
    async fn start_one(&self, entity: EntityType, sync: BulkSync) -> Result<Result<Run, Run>> {
        let mut tries = TRIES;
        loop {
            let run = NewRun {
                entity: entity.clone(),
                run_type: sync.run_type,
                source_type: "zoho".to_owned(),
                since: sync.since,
                requested_by: sync.requested_by.to_owned(),
            };
            let refused = match self.0.create(run).await {
                Err(error) if error.kind() == ErrorKind::Conflict => error,
                other => return other.map(Ok),
            };
            for status in [RunStatus::Pending, RunStatus::Running] {
                let filter = RunFilter { entity: Some(entity.clone()), status: Some(status) };
                if let Some(run) = self.0.list_runs(&filter, 1, None).await?.items.pop() {
                    return Ok(Err(run));
                }
            }
            // It ended between the two.
            tries -= 1;
            if tries == 0 {
                return Err(refused);
            }
        }
    }

    async fn take_back(&self, created: &[Run]) {
        for run in created {
            if let Err(error) = self.0.cancel(run.id).await {
                tracing::warn!(run = run.id.0, error = %error.chain(), "a run could not be taken back");
            }
        }
    }

    /// One page, newest first.
    pub(crate) async fn list(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<Run>> {
        self.0.list_runs(filter, limit, cursor).await
    }

    /// One run.
    pub(crate) async fn find(&self, id: i64) -> Result<Run, Refusal> {
        self.0.get_run(RunId(id)).await?.ok_or(Refusal::Unknown("run", id))
    }

    /// Stops a run; what was done stays.
    pub(crate) async fn cancel(&self, id: i64) -> Result<Run, Refusal> {
        let run = self.find(id).await?;
        Ok(self.0.cancel(run.id).await?)
    }

    /// Lets a failed, cancelled or incomplete run go on at its checkpoint.
    pub(crate) async fn resume(&self, id: i64) -> Result<Run, Refusal> {
        let run = self.find(id).await?;
        Ok(self.0.resume(run.id).await?)
    }

    /// Releases the deletions that the mass-delete guard held back. Answers how many.
    pub(crate) async fn confirm_deletions(&self, id: i64) -> Result<u64, Refusal> {
        let run = self.find(id).await?;
        Ok(self.0.confirm_deletions(run.id).await?)
    }

    /// Takes out of the queue what cancelling could not take out at once.
    pub(crate) async fn finish_cancelling(&self) -> Result<()> {
        self.0.finish_cancelling().await
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
