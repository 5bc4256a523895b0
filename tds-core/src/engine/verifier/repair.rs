//! The end of a run: repairs become queue items.

use super::{Verifying, position::Position};
use crate::{
    engine::lister::deletion_limit,
    error::Result,
    hint::Hint,
    queue::{NewItem, Waiter, Work},
    record::{RecordId, RecordKey},
    runs::{Checkpoint, RunEnd},
    verify::DriftClass,
};

/// The number of repairs that are enqueued in one transaction.
const PAGE: usize = 200;

impl Verifying<'_> {
    /// Enqueues an authoritative read of each record that differs, if the run repairs, and commits the last page.
    /// Records that the source no longer has are only marked as deleted in small numbers, as after a full sync.
    pub(super) async fn repair(&self, position: &Position, checkpoint: &mut Checkpoint) -> Result<()> {
        let run = &self.lease.run;
        if !run.verify.is_some_and(|part| part.repair) {
            return self.commit(position, checkpoint, Vec::new(), Vec::new(), true).await.map(drop);
        }
        let look = || self.verifier.store.differing(run.id);
        let found = self.patience().store("reading what differs", look).await?;
        let (gone, mut ids): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, class)| *class == DriftClass::MissingRemote);
        let limit = deletion_limit(position.target());
        if i64::try_from(gone.len()).unwrap_or(i64::MAX) > limit {
            self.hold(gone.into_iter().map(|(id, _)| id).collect(), limit).await?;
        } else {
            ids.extend(gone);
        }
        let items: Vec<NewItem> = ids.into_iter().map(|(id, _)| self.item(id)).collect();
        let mut pages = items.chunks(PAGE).peekable();
        loop {
            let page = pages.next().map(<[NewItem]>::to_vec).unwrap_or_default();
            let last = pages.peek().is_none();
            let listed = page.iter().map(|item| item.key.id.clone()).collect();
            self.commit(position, checkpoint, listed, page, last).await?;
            if last {
                return Ok(());
            }
        }
    }

    async fn hold(&self, ids: Vec<RecordId>, limit: i64) -> Result<()> {
        let run = &self.lease.run;
        let unreadable = self.unreadable().await?.map(|(_, reason)| format!(". {reason}"));
        let reason = format!(
            "the source does not have {} records of {} that the target has. More than {limit} at once are marked as \
             deleted only after an operator has checked them at the source; {}{}",
            ids.len(),
            run.entity_type,
            (self.verifier.wording)(&Hint::ConfirmDeletions(run.id)),
            unreadable.unwrap_or_default()
        );
        let end = RunEnd::DeletionsHeld { ids, reason };
        let hold = || self.verifier.runs.end_run(run.id, self.lease.token, end.clone());
        self.patience().store("storing the deletions that wait for an operator", hold).await
    }

    fn item(&self, id: RecordId) -> NewItem {
        let run = &self.lease.run;
        NewItem {
            key: RecordKey::new(run.entity_type.clone(), id).into(),
            lane: run.run_type.lane(),
            // A record whose version did not move is written nevertheless.
            work: Work { recheck: true, ..Work::fetch() },
            waiter: Waiter::Run(run.id),
        }
    }
}
