//! The sweep for deletions: records that a complete list did not show may be gone.

use std::collections::HashSet;

use super::{Listing, plan::deletion_limit};
use crate::{
    error::Result,
    hint::Hint,
    queue::Work,
    record::RecordId,
    runs::{Checkpoint, PageCommit, RunEnd, RunType},
    source::ListOrder,
};

impl Listing<'_> {
    /// Returns true where the run sweeps. Only a list of all records can show that a record is gone.
    pub(super) fn sweeps(&self) -> bool {
        self.lease.run.run_type == RunType::Full
            && self.lease.run.is_whole()
            && self.source.profile().complete_list
    }

    /// Sweeps for deletions. Each record that no page showed is read by id, because it may be gone. Where too many
    /// records are missing in two lists that were read one after the other, a person has to decide.
    pub(super) async fn sweep(&self, mut checkpoint: Checkpoint) -> Result<()> {
        let run = &self.lease.run;
        checkpoint.pages += 1;
        let look = || self.lister.runs.missing(run.id, &run.entity_type);
        let (live, mut missing) =
            self.patience().store("looking for records that were not listed", look).await?;
        let limit = deletion_limit(live);
        let too_many =
            |missing: &[RecordId]| i64::try_from(missing.len()).map_or(true, |count| count > limit);
        if too_many(&missing) {
            missing = self.still_missing(missing).await?;
        }
        let mut commit = PageCommit { listed: Vec::new(), items: Vec::new(), checkpoint, last: true };
        if too_many(&missing) {
            let reason = format!(
                "{} of {live} live {} were not in the list, which was read twice. More than {limit} at once are marked \
                 as deleted only after a person has checked them at the source; {}",
                missing.len(),
                run.entity_type,
                (self.lister.wording)(&Hint::ConfirmDeletions(run.id))
            );
            let end = RunEnd::DeletionsHeld { ids: missing.clone(), reason };
            let hold = || self.lister.runs.end_run(run.id, self.lease.token, end.clone());
            self.patience().store("storing the deletions that wait for a person", hold).await?;
        } else {
            commit.items = missing.iter().map(|id| self.item(id.clone(), Work::fetch())).collect();
            commit.listed = missing;
        }
        self.commit(commit).await.map(drop)
    }

    /// Reads the list once more, for its ids only. Rows that moved while the list was read for the first time are then
    /// found.
    async fn still_missing(&self, missing: Vec<RecordId>) -> Result<Vec<RecordId>> {
        tracing::warn!(
            run = %self.lease.run.id, entity = %self.lease.run.entity_type, missing = missing.len(),
            "many records were not in the list; the list is read once more"
        );
        let mut missing: HashSet<RecordId> = missing.into_iter().collect();
        let mut place = Checkpoint::default();
        while !place.listed && !missing.is_empty() {
            let page = self.page(&place, ListOrder::Whole, self.source.profile().documented).await?;
            for row in &page.rows {
                missing.remove(&row.id);
            }
            place.listed = page.next.is_none();
            place.cursor = page.next;
        }
        let mut missing: Vec<RecordId> = missing.into_iter().collect();
        missing.sort();
        Ok(missing)
    }
}
