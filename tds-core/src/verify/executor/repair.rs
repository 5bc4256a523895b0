//! The repair of records that differ: each is read again as an item of the run.

use std::collections::HashSet;

use super::{Comparing, PAGE};
use crate::{
    engine::deletion_limit,
    error::Result,
    hint::Hint,
    queue::{NewItem, Waiter, Work},
    record::{RecordId, RecordKey},
    runs::{RunEnd, RunType},
    verify::DriftClass,
};

impl Comparing<'_> {
    /// Enqueues the repairs, if the verification repairs, and ends the run.
    pub(super) async fn repair(&mut self) -> Result<()> {
        let run = &self.lease.run;
        let mut differing = Vec::new();
        if run.verify.is_some_and(|part| part.repair) {
            let read = || self.executor.store.differing(run.id);
            differing = self.patience().store("reading which records differ", read).await?;
            let held = self.held_back().await?;
            differing.retain(|id| !held.contains(id));
        }
        while self.place.done < differing.len() {
            let ids = differing[self.place.done..differing.len().min(self.place.done + PAGE)].to_vec();
            self.place.done += ids.len();
            let items = ids.iter().map(|id| self.item(id.clone())).collect();
            let last = self.place.done >= differing.len();
            self.commit(ids, items, last).await?;
            if last {
                return Ok(());
            }
        }
        self.commit(Vec::new(), Vec::new(), true).await
    }

    fn item(&self, id: RecordId) -> NewItem {
        let run = &self.lease.run;
        NewItem {
            key: RecordKey::new(run.entity_type.clone(), id).into(),
            lane: RunType::Verify.lane(),
            work: Work { recheck: true, ..Work::fetch() },
            waiter: Waiter::Run(run.id),
        }
    }

    /// Returns the records that seem to be gone at the source, if they are too many for a program to decide. An operator
    /// has to confirm their deletion.
    async fn held_back(&self) -> Result<HashSet<RecordId>> {
        let run = &self.lease.run;
        let read = || self.executor.verifier.of_class(run, DriftClass::MissingRemote);
        let gone = self.patience().store("reading which records are gone", read).await?;
        let live = i64::try_from(self.place.target_records).unwrap_or(i64::MAX);
        let limit = deletion_limit(live);
        if i64::try_from(gone.len()).is_ok_and(|count| count <= limit) {
            return Ok(HashSet::new());
        }
        let reason = format!(
            "{} of {live} live {} are not at the source. More than {limit} at once are marked as deleted only after an \
             operator has checked them at the source; {}",
            gone.len(),
            run.entity_type,
            (self.executor.wording)(&Hint::ConfirmDeletions(run.id))
        );
        let end = RunEnd::DeletionsHeld { ids: gone.clone(), reason };
        let hold = || self.executor.runs.end_run(run.id, self.lease.token, end.clone());
        self.patience().store("storing the deletions that wait for an operator", hold).await?;
        Ok(gone.into_iter().collect())
    }
}
