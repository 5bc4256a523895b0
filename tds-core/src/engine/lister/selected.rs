//! Runs with a selection: they read a part of an entity type.

use super::{Lister, Listing};
use crate::{
    error::{Error, Result},
    queue::Work,
    record::RecordId,
    runs::{
        PageCommit, RunHistory, RunPlan, Selection,
        plan::{Known, plan_selection},
    },
    source::Source,
};

/// The number of ids that are enqueued in one transaction.
const IDS_AT_ONCE: usize = 200;

impl Lister {
    /// Refuses a selection that the list of the source cannot show.
    pub(super) fn check_selection(source: &dyn Source, selection: &Selection) -> Result<()> {
        let has_filter = source.profile().date_column.is_some();
        if selection.dates().is_none() || has_filter {
            return Ok(());
        }
        Err(Error::invalid(format!("the list of {} has no filter by date", source.schema().entity)))
    }

    /// Plans a run with a selection, from what is known before it begins.
    pub(super) async fn plan_of(
        &self,
        source: &dyn Source,
        selection: &Selection,
        history: &RunHistory,
    ) -> Result<RunPlan> {
        let count = |number: i64| u64::try_from(number).ok();
        let mut known = Known { records: history.last_full_count.and_then(count), ..Known::default() };
        if let (Some(dates), Some(column)) = (selection.dates(), source.profile().date_column) {
            let counted = self.mirror.count(source.schema(), Some((column, dates))).await?;
            known.live = counted.map(|counted| counted.live);
            known.in_range = counted.and_then(|counted| counted.dated);
        }
        Ok(plan_selection(selection, source.profile(), known))
    }
}

impl Listing<'_> {
    /// Enqueues reads of these records. No list is read. The number of committed pages says where an interrupted run
    /// continues.
    pub(super) async fn read_ids(&self, ids: &[RecordId]) -> Result<()> {
        let mut checkpoint = self.lease.checkpoint.clone();
        while !checkpoint.listed {
            let done = usize::try_from(checkpoint.pages).unwrap_or(usize::MAX).saturating_mul(IDS_AT_ONCE);
            let rest = ids.get(done..).unwrap_or_default();
            let listed: Vec<RecordId> = rest.iter().take(IDS_AT_ONCE).cloned().collect();
            checkpoint.pages += 1;
            checkpoint.listed = rest.len() <= IDS_AT_ONCE;
            let items = listed.iter().map(|id| self.item(id.clone(), Work::fetch())).collect();
            let (last, checkpoint) = (checkpoint.listed, checkpoint.clone());
            self.commit(PageCommit { listed, items, checkpoint, last }).await?;
        }
        Ok(())
    }
}
