//! The counts of a run, and the end of a run.

use time::OffsetDateTime;

use super::state::{Reached, RunState, State};
use crate::{
    error::{Error, Result},
    queue::{ItemId, LeaseToken},
    record::RecordId,
    runs::{RunId, RunStatus, RunType},
};

impl State {
    /// Records that an item that a run waited for has ended.
    pub(super) fn run_item_ended(
        &mut self,
        id: RunId,
        item: ItemId,
        record: &RecordId,
        failed: bool,
        now: OffsetDateTime,
    ) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.open.remove(&item);
            run.reach(record, if failed { Reached::Failed } else { Reached::Ended });
        }
        self.finish_run(id, now);
    }

    /// Ends a run whose list was read to the end and whose records have all ended.
    pub(super) fn finish_run(&mut self, id: RunId, now: OffsetDateTime) {
        let unwell = self.oldest_dead_letter(id);
        let Some(run) = self.runs.get_mut(&id) else { return };
        let done = run.listing_done && run.open.is_empty() && run.processed >= run.total();
        if run.status != RunStatus::Running || !done {
            return;
        }
        let clean = run.failed == 0 && run.held.is_empty();
        run.status = if clean { RunStatus::Completed } else { RunStatus::CompletedWithErrors };
        run.completed_at = Some(now);
        run.lease = None;
        if run.request.run_type == RunType::Full && run.request.since.is_none() {
            self.last_full_counts.insert(run.request.entity.clone(), run.total());
        }
        if let Some(cursor) = run.new_cursor(self.cursors.get(&run.request.entity).copied(), unwell) {
            self.cursors.insert(run.request.entity.clone(), cursor);
        }
    }

    /// Returns the oldest version among the dead letters of the run's entity type.
    fn oldest_dead_letter(&self, id: RunId) -> Option<OffsetDateTime> {
        let entity = &self.runs.get(&id)?.request.entity;
        let dead = self.dead.iter().filter(|(key, _)| key.entity == *entity).flat_map(|(_, items)| items);
        dead.filter_map(|item| self.items.get(item)?.work.version).min()
    }

    /// Returns the run, if the lease is the current one.
    pub(super) fn leased_run(&mut self, id: RunId, token: LeaseToken) -> Result<&mut RunState> {
        let held = self.runs.get_mut(&id).filter(|run| {
            run.status == RunStatus::Running && run.lease.is_some_and(|(current, _)| current == token)
        });
        held.ok_or_else(|| Error::conflict(format!("the lease of run {id} was lost")))
    }
}

impl RunState {
    /// Counts the progress of a listed record. A record counts once, however often it is listed.
    pub(super) fn reach(&mut self, record: &RecordId, reached: Reached) {
        let Some(before) = self.listed.get_mut(record) else { return };
        match (*before, reached) {
            (Reached::Listed, Reached::Ended) => self.processed += 1,
            (Reached::Listed, Reached::Failed) => {
                self.processed += 1;
                self.failed += 1;
            }
            (Reached::Ended, Reached::Failed) => self.failed += 1,
            (Reached::Failed, Reached::Ended) => self.failed -= 1,
            _ => return,
        }
        *before = reached;
    }

    /// Returns the entity type's new cursor. The cursor never moves backwards. It never moves over a gap that a run
    /// with its own start time left, and never over the version of a record that became a dead letter.
    fn new_cursor(
        &self,
        current: Option<OffsetDateTime>,
        unwell: Option<OffsetDateTime>,
    ) -> Option<OffsetDateTime> {
        let reads_changes = matches!(self.request.run_type, RunType::Full | RunType::Incremental);
        let no_gap = match (self.checkpoint.window_from, current) {
            (None, _) => true,
            (Some(from), Some(current)) => from <= current,
            (Some(_), None) => false,
        };
        let to = self.checkpoint.window_to.map(|to| unwell.map_or(to, |unwell| to.min(unwell)));
        let further = to.filter(|to| current.is_none_or(|current| *to > current));
        further.filter(|_| reads_changes && no_gap)
    }
}
