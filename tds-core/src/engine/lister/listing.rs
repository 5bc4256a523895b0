//! The listing of one run: it reads the list to its end.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    Lister, Listing,
    plan::{RowPlan, is_far_shorter, plan_row},
    window::ListWindow,
};
use crate::{
    engine::patience::Patience,
    error::{Error, ErrorKind, Result, Retry},
    guard::SyncState,
    handler::comparable,
    hint::Hint,
    queue::{Lane, NewItem, Waiter, Work},
    record::{Read, RecordId, RecordKey},
    runs::{Checkpoint, PageCommit, RunPlan, RunType, Selection},
    source::{Capability, ListOrder, ListPage, ListRequest, Listed},
};

/// The window ends this long before the first page is read. Changes during the listing belong to the next run.
const MARGIN: time::Duration = time::Duration::seconds(5);

impl Listing<'_> {
    /// Reads page after page, beginning at the checkpoint. A full sync then sweeps for deletions.
    pub(super) async fn run(&self) -> Result<()> {
        let (mut checkpoint, run) = (self.lease.checkpoint.clone(), &self.lease.run);
        let mut window = self.window().await?;
        let (mut listed, mut plan) = (run.total_items, run.plan.clone());
        if checkpoint.pages == 0 {
            checkpoint.window_from = window.from(run, self.lister.settings.overlap);
            let chosen = match &run.selection {
                Some(selection) => self.selected(selection).await?,
                None => self.plan(&mut window, checkpoint.window_from).await,
            };
            tracing::info!(run = %run.id, entity = %run.entity_type, plan = chosen.reason, "run planned");
            self.keep_plan(plan.insert(chosen)).await?;
        }
        if let Some(Selection::Ids(ids)) = &run.selection {
            return self.read_ids(ids).await;
        }
        while !checkpoint.listed {
            // A run of an earlier version may continue without a plan. It then reads the list in the safest order.
            let order = plan.as_ref().map_or(ListOrder::MovingFilter, |plan| plan.listing);
            let page = self.page(&checkpoint, order, window.capability()).await?;
            let is_first_of_several = checkpoint.pages == 0 && page.next.is_some();
            if let Some(plan) = plan.as_mut().filter(|_| order == ListOrder::Whole && is_first_of_several)
                && plan.outgrown(checkpoint.window_from, window.capability())
            {
                self.keep_plan(plan).await?;
                continue;
            }
            refuse_standstill(&page, checkpoint.cursor.as_deref())?;
            // The window ends by the earlier of both clocks: a change must not fall behind the cursor because the
            // clock of this machine is fast.
            let began = page.server_time.map_or(page.observed.began, |time| time.min(page.observed.began));
            if run.selection.is_none() {
                checkpoint.window_to = checkpoint.window_to.or(Some(began - MARGIN));
            }
            checkpoint.listed = page.next.is_none();
            checkpoint.cursor.clone_from(&page.next);
            checkpoint.pages += 1;
            if checkpoint.listed {
                self.refuse_short_list(listed, page.rows.len(), &checkpoint)?;
            }
            let (commit, lag) = self.commit_of(page.rows, &checkpoint, &window).await?;
            listed = self.commit(commit).await?;
            self.learn(&mut window, page.learned, lag).await;
        }
        if self.sweeps() { self.sweep(checkpoint).await } else { Ok(()) }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::of(self.lease.run.id, self.lister.wording)
    }

    async fn selected(&self, selection: &Selection) -> Result<RunPlan> {
        let plan = || self.lister.plan_of(self.source, selection, &self.lease.history);
        self.patience().store("planning its selection", plan).await
    }

    async fn keep_plan(&self, plan: &RunPlan) -> Result<()> {
        let Lister { runs, lease_time, .. } = self.lister;
        let keep = || runs.renew_run(self.lease.run.id, self.lease.token, *lease_time, Some(plan));
        self.patience().store("storing its plan", keep).await
    }

    /// Refuses a full list that ends far too early. Such a list is an error: it is neither a success nor a reason to
    /// sweep for deletions.
    fn refuse_short_list(&self, before: i64, rows: usize, checkpoint: &Checkpoint) -> Result<()> {
        let run = &self.lease.run;
        if run.run_type != RunType::Full || !run.is_whole() || checkpoint.resumed {
            return Ok(());
        }
        let Some(last) = self.lease.history.last_full_count else { return Ok(()) };
        let listed = before.saturating_add(i64::try_from(rows).unwrap_or(i64::MAX));
        if !is_far_shorter(listed, last) {
            return Ok(());
        }
        let message = format!(
            "the list of {} ended after {listed} records, but the last full list had {last}. Nothing was marked as \
             deleted, and the next full sync reads the list again",
            run.entity_type
        );
        Err(Error::new(ErrorKind::Protocol, Retry::Permanent, message)
            .with_hint(Hint::AcceptShortList(run.id)))
    }

    pub(super) fn lane(&self) -> Lane {
        self.lease.run.run_type.lane()
    }

    /// Reads one page, with retries.
    pub(super) async fn page(
        &self,
        checkpoint: &Checkpoint,
        order: ListOrder,
        capability: Capability,
    ) -> Result<ListPage> {
        let request = ListRequest {
            since: checkpoint.window_from,
            dates: self.lease.run.selection.as_ref().and_then(Selection::dates),
            order,
            capability,
            cursor: checkpoint.cursor.clone(),
            lane: self.lane(),
        };
        self.patience().source("reading a page", || self.source.list(&request)).await
    }

    /// Returns the changes of a page, and the longest lag of its rows.
    async fn commit_of(
        &self,
        rows: Vec<Listed>,
        checkpoint: &Checkpoint,
        window: &ListWindow,
    ) -> Result<(PageCommit, Duration)> {
        let run = &self.lease.run;
        let rows = last_of_each(rows);
        let ids: Vec<RecordId> = rows.iter().map(|row| row.id.clone()).collect();
        let look = || self.lister.mirror.states(&run.entity_type, &ids);
        let states = self.patience().store("reading the states of the records of a page", look).await?;
        let (now, profile) = (self.lister.clock.now(), self.source.profile());
        let lag = window.lag(checkpoint.window_from, &rows, &states);
        let plans: Vec<RowPlan> =
            rows.iter().map(|row| plan_row(states.get(&row.id), row, profile, run.run_type, now)).collect();
        let changed_by_hand = self.changed_by_hand(&rows, &plans, &states).await?;
        let recheck = run.run_type == RunType::Full;
        let items = rows
            .into_iter()
            .zip(plans)
            .filter(|(row, plan)| *plan != RowPlan::Unchanged || changed_by_hand.contains(&row.id))
            .map(|(row, _)| self.item(row.id, Work { version: row.version, payload: row.payload, recheck }))
            .collect();
        let last = checkpoint.listed && !self.sweeps();
        Ok((PageCommit { listed: ids, items, checkpoint: checkpoint.clone(), last }, lag))
    }

    /// Returns the unchanged rows that the target's rows do not show. A full sync compares the list with the
    /// target itself, not with the stored sync state.
    async fn changed_by_hand(
        &self,
        rows: &[Listed],
        plans: &[RowPlan],
        states: &HashMap<RecordId, SyncState>,
    ) -> Result<HashSet<RecordId>> {
        if self.lease.run.run_type != RunType::Full {
            return Ok(HashSet::new());
        }
        let read = |(row, plan): (&Listed, &RowPlan)| {
            let payload = row.payload.as_ref().filter(|_| *plan == RowPlan::Unchanged)?;
            comparable(states.get(&row.id)?, &self.source.decode(payload).ok()?)
        };
        let reads: Vec<Read> = rows.iter().zip(plans).filter_map(read).collect();
        if reads.is_empty() {
            return Ok(HashSet::new());
        }
        let compare = || self.lister.mirror.compare(self.source.schema(), &reads);
        let differing = self.patience().store("comparing a page with the target", compare).await?;
        if !differing.is_empty() {
            tracing::warn!(
                run = %self.lease.run.id, entity = %self.lease.run.entity_type, records = differing.len(),
                "rows of the target differ from the list; their records are read again, and the rows are corrected"
            );
        }
        Ok(differing.into_keys().collect())
    }

    pub(super) fn item(&self, id: RecordId, work: Work) -> NewItem {
        let run = &self.lease.run;
        NewItem {
            key: RecordKey::new(run.entity_type.clone(), id).into(),
            lane: self.lane(),
            work,
            waiter: Waiter::Run(run.id),
        }
    }

    /// Commits a page, with retries: a database that is unavailable for a while only costs time. Returns the number of
    /// records that the run has listed so far.
    pub(super) async fn commit(&self, page: PageCommit) -> Result<i64> {
        let commit = || self.lister.runs.commit_page(self.lease.run.id, self.lease.token, page.clone());
        self.patience().store("committing a page", commit).await
    }
}

/// Refuses a page after which the list would be read from the same position again, without an end.
pub(in crate::engine) fn refuse_standstill(page: &ListPage, requested: Option<&str>) -> Result<()> {
    if page.next.is_none() || page.next.as_deref() != requested {
        return Ok(());
    }
    let message = "the list of the source does not advance: the next position is the one that was requested";
    Err(Error::new(ErrorKind::Protocol, Retry::Permanent, message))
}

/// Returns the last row of each record. A page may show a record twice while the record is being edited, and the later
/// row counts.
pub(in crate::engine) fn last_of_each(rows: Vec<Listed>) -> Vec<Listed> {
    let newest: HashMap<RecordId, usize> =
        rows.iter().enumerate().map(|(index, row)| (row.id.clone(), index)).collect();
    let keep: HashSet<usize> = newest.into_values().collect();
    rows.into_iter().enumerate().filter(|(index, _)| keep.contains(index)).map(|(_, row)| row).collect()
}
