//! The runs in memory.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore, later,
    state::{Reached, RunState, State},
    view::{below, count, page},
};
use crate::{
    error::{Error, Result},
    guard::is_ahead,
    queue::{ItemId, Lane, LeaseToken, NewItem, Page, Waiter, Work, WorkerId},
    record::{EntityType, RecordId, RecordKey},
    runs::{
        HISTORY, NewRun, PageCommit, Run, RunEnd, RunFilter, RunHistory, RunId, RunLease, RunPlan, RunStatus,
        SyncRun, SyncRunOperator,
    },
};

#[async_trait]
impl SyncRun for MemoryStore {
    async fn claim_run(
        &self,
        _worker: &WorkerId,
        lease: Duration,
        among: Option<&[RunId]>,
    ) -> Result<Option<RunLease>> {
        let now = self.now();
        let mut state = self.state();
        let token = state.next_token();
        let is_meant = |id: &RunId| among.is_none_or(|runs| runs.contains(id));
        let free = state.runs.iter_mut().find(|(id, run)| is_meant(id) && run.can_be_taken(now));
        let Some((id, run)) = free.map(|(id, run)| (*id, run)) else { return Ok(None) };
        run.status = RunStatus::Running;
        run.started_at = run.started_at.or(Some(now));
        run.lease = Some((token, later(now, lease)));
        let (checkpoint, entity) = (run.checkpoint.clone(), run.request.entity.clone());
        Ok(Some(RunLease { run: state.run_view(id)?, token, checkpoint, history: state.history(&entity) }))
    }

    async fn renew_run(
        &self,
        id: RunId,
        token: LeaseToken,
        lease: Duration,
        plan: Option<&RunPlan>,
    ) -> Result<()> {
        let expires_at = later(self.now(), lease);
        let mut state = self.state();
        let run = state.leased_run(id, token)?;
        run.lease = Some((token, expires_at));
        if let Some(plan) = plan {
            run.plan = Some(plan.clone());
        }
        Ok(())
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<i64> {
        let now = self.now();
        let listed = {
            let mut state = self.state();
            state.leased_run(id, token)?;
            state.store_page(id, page, now);
            state.runs.get(&id).map_or(0, RunState::total)
        };
        self.announce_work();
        Ok(listed)
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        let now = self.now();
        let state = self.state();
        let run = state.runs.get(&id).ok_or_else(|| unknown(id))?;
        let began = run.started_at.unwrap_or(run.created_at);
        let live =
            || state.records.iter().filter(|(key, record)| key.entity == *entity && !record.state.deleted);
        let mut missing: Vec<RecordId> = live()
            .filter(|(key, _)| !run.listed.contains_key(&key.id))
            // A time in the future was recorded by a clock that was ahead. Missing records are read by id in any
            // case.
            .filter(|(_, record)| record.first_seen_at < began || is_ahead(record.first_seen_at, now))
            .filter(|(_, record)| {
                let ended = record.state.observed.interval().ended;
                ended < began || is_ahead(ended, now)
            })
            .map(|(key, _)| key.id.clone())
            .collect();
        missing.sort();
        Ok((count(live().count()), missing))
    }

    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()> {
        let now = self.now();
        let mut state = self.state();
        let run = state.leased_run(id, token)?;
        match end {
            RunEnd::Failed { error } => {
                run.status = RunStatus::Failed;
                run.error_log = Some(error);
                run.completed_at = Some(now);
                run.lease = None;
            }
            RunEnd::DeletionsHeld { ids, reason } => {
                run.held = ids;
                run.error_log = Some(reason);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl SyncRunOperator for MemoryStore {
    async fn create(&self, run: NewRun) -> Result<Run> {
        let now = self.now();
        let mut state = self.state();
        state.refuse_second(&run.entity)?;
        let id = RunId(state.next_id());
        state.runs.insert(id, new_run(run, now));
        state.run_view(id)
    }

    async fn cancel(&self, id: RunId) -> Result<Run> {
        let now = self.now();
        let mut state = self.state();
        let run = state.runs.get_mut(&id).ok_or_else(|| unknown(id))?;
        if !run.status.is_active() {
            return Err(Error::conflict(format!("run {id} has ended: {}", run.status.as_str())));
        }
        run.status = RunStatus::Cancelled;
        run.completed_at = Some(now);
        run.lease = None;
        state.take_out(id);
        state.run_view(id)
    }

    async fn resume(&self, id: RunId) -> Result<Run> {
        let now = self.now();
        let mut state = self.state();
        let run = state.runs.get(&id).ok_or_else(|| unknown(id))?;
        if !matches!(run.status, RunStatus::Failed | RunStatus::Cancelled) {
            return Err(Error::conflict(format!(
                "run {id} is {}, so there is nothing to resume",
                run.status.as_str()
            )));
        }
        state.refuse_second(&run.request.entity.clone())?;
        if let Some(run) = state.runs.get_mut(&id) {
            // A list that was read to its end is not read again. The run then waits for its items.
            run.status = if run.listing_done { RunStatus::Running } else { RunStatus::Pending };
            run.completed_at = None;
            run.error_log = None;
            run.checkpoint.resumed = true;
        }
        state.put_back(id, now);
        state.finish_run(id, now);
        let run = state.run_view(id);
        drop(state);
        self.announce_work();
        run
    }

    async fn confirm_deletions(&self, id: RunId) -> Result<u64> {
        let now = self.now();
        let released = {
            let mut state = self.state();
            let run = state.runs.get(&id).ok_or_else(|| unknown(id))?;
            if run.held.is_empty() {
                return Ok(0);
            }
            if !run.status.is_active() {
                state.refuse_second(&run.request.entity.clone())?;
            }
            state.release_held(id, now)
        };
        self.announce_work();
        Ok(released)
    }

    async fn get_run(&self, id: RunId) -> Result<Option<Run>> {
        let state = self.state();
        Ok(state.runs.get(&id).map(|run| run.view(id, &state)))
    }

    async fn list_runs<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>> {
        let (below, state) = (RunId(below(cursor)?), self.state());
        let wanted = state.runs.range(..below).rev().filter(|(_, run)| {
            filter.entity.as_ref().is_none_or(|entity| *entity == run.request.entity)
                && filter.status.is_none_or(|status| status == run.status)
        });
        Ok(page(wanted.map(|(id, run)| (id.0, run.view(*id, &state))), limit))
    }

    async fn history(&self, entity: &EntityType) -> Result<RunHistory> {
        Ok(self.state().history(entity))
    }
}

impl State {
    fn history(&self, entity: &EntityType) -> RunHistory {
        let completed = self
            .runs
            .iter()
            .rev()
            .filter(|(_, run)| run.request.entity == *entity && run.status == RunStatus::Completed);
        RunHistory {
            cursor: self.cursors.get(entity).copied(),
            last_full_count: self.last_full_counts.get(entity).copied(),
            completed: completed.take(HISTORY).map(|(id, run)| run.view(*id, self)).collect(),
        }
    }

    fn refuse_second(&self, entity: &EntityType) -> Result<()> {
        match self.runs.iter().find(|(_, run)| run.request.entity == *entity && run.status.is_active()) {
            Some((id, _)) => Err(Error::conflict(format!("run {id} of {entity} is active"))),
            None => Ok(()),
        }
    }

    fn run_view(&self, id: RunId) -> Result<Run> {
        self.runs.get(&id).map(|run| run.view(id, self)).ok_or_else(|| unknown(id))
    }

    fn store_page(&mut self, id: RunId, page: PageCommit, now: OffsetDateTime) {
        if self.runs.get(&id).is_some_and(|run| page.checkpoint.pages <= run.checkpoint.pages) {
            return;
        }
        let queued: HashSet<RecordId> = page.items.iter().map(|item| item.key.id.clone()).collect();
        if let Some(run) = self.runs.get_mut(&id) {
            for record in page.listed {
                // A record that an earlier page listed is already counted, or is an item that has not ended.
                if run.listed.contains_key(&record) {
                    continue;
                }
                run.listed.insert(record.clone(), Reached::Listed);
                if !queued.contains(&record) {
                    run.reach(&record, Reached::Ended);
                    run.unchanged += 1;
                }
            }
            run.checkpoint = page.checkpoint;
            // The lease remains, because a commit with an unknown outcome is repeated.
            run.listing_done |= page.last;
        }
        for item in page.items {
            self.enqueue(item, now);
        }
        self.finish_run(id, now);
    }

    /// Removes from the queue the items for which only cancelled runs wait, claimed or not.
    fn take_out(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        let mut own: Vec<ItemId> = run.open.iter().copied().filter(|item| !self.is_wanted(*item)).collect();
        own.sort_unstable();
        for item in own {
            let Some(item) = self.remove_item(item) else { continue };
            if let Some(run) = self.runs.get_mut(&id) {
                run.open.remove(&item.id);
                run.kept.push((item.key, item.lane, item.work));
            }
        }
    }

    /// Returns true where an event or a run that was not cancelled waits for the item.
    fn is_wanted(&self, item: ItemId) -> bool {
        let is_cancelled =
            |run: &RunId| self.runs.get(run).is_some_and(|run| run.status == RunStatus::Cancelled);
        self.items.get(&item).is_some_and(|item| {
            item.waiters.iter().any(|entry| !matches!(&entry.waiter, Waiter::Run(run) if is_cancelled(run)))
        })
    }

    /// Queues again the work that the cancellation took out.
    fn put_back(&mut self, id: RunId, now: OffsetDateTime) {
        let kept = self.runs.get_mut(&id).map(|run| std::mem::take(&mut run.kept)).unwrap_or_default();
        for (key, lane, work) in kept {
            self.enqueue(NewItem { key, lane, work, waiter: Waiter::Run(id) }, now);
        }
    }

    fn release_held(&mut self, id: RunId, now: OffsetDateTime) -> u64 {
        let Some(run) = self.runs.get_mut(&id) else { return 0 };
        let (held, entity) = (std::mem::take(&mut run.held), run.request.entity.clone());
        run.listed.extend(held.iter().map(|record| (record.clone(), Reached::Listed)));
        run.error_log = None;
        if !run.status.is_active() {
            run.status = RunStatus::Running;
            run.completed_at = None;
        }
        let released = held.len() as u64;
        for record in held {
            let key = RecordKey::new(entity.clone(), record).into();
            self.enqueue(
                NewItem { key, lane: Lane::Operator, work: Work::fetch(), waiter: Waiter::Run(id) },
                now,
            );
        }
        released
    }
}

impl RunState {
    /// Returns true where the run is pending, or where the process that listed it lost its lease before the list
    /// ended.
    fn can_be_taken(&self, now: OffsetDateTime) -> bool {
        match self.status {
            RunStatus::Pending => true,
            RunStatus::Running => {
                !self.listing_done && self.lease.is_none_or(|(_, expires_at)| expires_at <= now)
            }
            _ => false,
        }
    }
}

fn new_run(request: NewRun, now: OffsetDateTime) -> RunState {
    RunState {
        request,
        status: RunStatus::Pending,
        created_at: now,
        started_at: None,
        completed_at: None,
        error_log: None,
        lease: None,
        checkpoint: Default::default(),
        listing_done: false,
        listed: Default::default(),
        open: Default::default(),
        processed: 0,
        failed: 0,
        unchanged: 0,
        held: Vec::new(),
        kept: Vec::new(),
        plan: None,
        calls: 0,
    }
}

fn unknown(id: RunId) -> Error {
    Error::not_found(format!("there is no run {id}"))
}
