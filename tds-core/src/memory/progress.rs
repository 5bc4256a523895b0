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
    pub(super) fn run_item_ended(&mut self, id: RunId, item: ItemId, record: &RecordId, failed: bool) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.open.remove(&item);
            run.reach(record, if failed { Reached::Failed } else { Reached::Ended });
        }
        self.finish_run(id);
    }

    /// Ends a run whose list was read to the end and whose records have all ended.
    pub(super) fn finish_run(&mut self, id: RunId) {
        let oldest = self.oldest_dead_letter(id);
        let Some(run) = self.runs.get_mut(&id) else { return };
        let done = run.row.listing_done && run.open.is_empty() && run.row.processed_items >= run.total();
        if run.row.status != RunStatus::Running || !done {
            return;
        }
        let clean = run.row.failed_items == 0 && run.held.is_empty();
        run.end(if clean { RunStatus::Completed } else { RunStatus::CompletedWithErrors }, self.now.0);
        let entity = &run.row.entity_type;
        if run.row.run_type == RunType::Full && run.row.is_whole() {
            self.last_full_counts.insert(entity.clone(), run.total());
        }
        if let Some(cursor) = run.new_cursor(self.cursors.get(entity).copied(), oldest) {
            self.cursors.insert(entity.clone(), cursor);
        }
    }

    /// Returns the oldest version among the dead letters of the run's entity type.
    fn oldest_dead_letter(&self, id: RunId) -> Option<OffsetDateTime> {
        let entity = &self.runs.get(&id)?.row.entity_type;
        let dead = self.dead.iter().filter(|(key, _)| key.entity == *entity).flat_map(|(_, items)| items);
        dead.filter_map(|item| self.items.get(item)?.work.version).min()
    }

    /// Returns the run, if the lease is the current one.
    pub(super) fn leased_run(&mut self, id: RunId, token: LeaseToken) -> Result<&mut RunState> {
        let held = self.runs.get_mut(&id).filter(|run| {
            run.row.status == RunStatus::Running && run.lease.is_some_and(|(current, _)| current == token)
        });
        held.ok_or_else(|| Error::conflict(format!("the lease of run {id} was lost")))
    }
}

impl RunState {
    /// Counts the progress of a listed record. A record counts once, however often it is listed.
    pub(super) fn reach(&mut self, record: &RecordId, reached: Reached) {
        let Some(progress) = self.listed.get_mut(record) else { return };
        let before = std::mem::replace(progress, reached);
        self.row.processed_items += i64::from(before == Reached::Listed);
        self.row.failed_items += i64::from(reached == Reached::Failed) - i64::from(before == Reached::Failed);
    }

    /// Ends the run for the process that holds it.
    pub(super) fn end(&mut self, status: RunStatus, now: OffsetDateTime) {
        self.row.status = status;
        self.row.completed_at = Some(now);
        self.lease = None;
    }

    /// Returns the entity type's new cursor. The cursor never moves backwards. It never moves over a gap that a run
    /// with its own start time left, and never over the version of a record that became a dead letter. A run with a
    /// selection does not move the cursor.
    fn new_cursor(
        &self,
        current: Option<OffsetDateTime>,
        oldest: Option<OffsetDateTime>,
    ) -> Option<OffsetDateTime> {
        let reads_changes =
            self.row.selection.is_none() && matches!(self.row.run_type, RunType::Full | RunType::Incremental);
        let no_gap = match (self.checkpoint.window_from, current) {
            (None, _) => true,
            (Some(from), Some(current)) => from <= current,
            (Some(_), None) => false,
        };
        let to = self.checkpoint.window_to.map(|to| oldest.map_or(to, |oldest| to.min(oldest)));
        let further = to.filter(|to| current.is_none_or(|current| *to > current));
        further.filter(|_| reads_changes && no_gap)
    }
}
