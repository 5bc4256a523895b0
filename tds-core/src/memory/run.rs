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
        RunType, SyncRun, SyncRunOperator, VerifyPart,
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
        let mut state = self.state();
        let (token, now) = (state.next_token(), state.now.0);
        let is_meant = |id: &RunId| among.is_none_or(|runs| runs.contains(id));
        let free = state.runs.values_mut().find(|run| is_meant(&run.row.id) && run.can_be_taken(now));
        let Some(run) = free else { return Ok(None) };
        run.row.status = RunStatus::Running;
        run.row.started_at = run.row.started_at.or(Some(now));
        run.lease = Some((token, later(now, lease)));
        let (id, checkpoint) = (run.row.id, run.checkpoint.clone());
        let run = state.run_view(id)?;
        let history = state.history(&run.entity_type);
        Ok(Some(RunLease { run, token, checkpoint, history }))
    }

    async fn renew_run(
        &self,
        id: RunId,
        token: LeaseToken,
        lease: Duration,
        plan: Option<&RunPlan>,
    ) -> Result<()> {
        let mut state = self.state();
        let expires_at = later(state.now.0, lease);
        let run = state.leased_run(id, token)?;
        run.lease = Some((token, expires_at));
        if let Some(plan) = plan {
            run.row.plan = Some(plan.clone());
        }
        Ok(())
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, page: PageCommit) -> Result<i64> {
        self.change(|state| {
            state.leased_run(id, token)?;
            state.store_page(id, page);
            Ok(state.runs.get(&id).map_or(0, RunState::total))
        })
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        let state = self.state();
        let now = state.now.0;
        let run = state.runs.get(&id).ok_or_else(|| unknown(id))?;
        let began = run.row.started_at.unwrap_or(run.row.created_at);
        // A time in the future was recorded by a clock that was ahead. Missing records are read by id in any case.
        let is_before = |time: OffsetDateTime| time < began || is_ahead(time, now);
        let live = || {
            let of_entity = state.records.iter().filter(|(key, _)| key.entity == *entity);
            of_entity.filter(|(_, record)| record.is_live())
        };
        let missing = live().filter(|(key, record)| {
            !run.listed.contains_key(&key.id)
                && is_before(record.first_seen_at)
                && record.state.as_ref().is_some_and(|state| is_before(state.observed.interval().ended))
        });
        let mut missing: Vec<RecordId> = missing.map(|(key, _)| key.id.clone()).collect();
        missing.sort();
        Ok((count(live().count()), missing))
    }

    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()> {
        let mut state = self.state();
        let now = state.now.0;
        let run = state.leased_run(id, token)?;
        match end {
            RunEnd::Failed { error } => {
                run.row.error_log = Some(error);
                run.end(RunStatus::Failed, now);
            }
            RunEnd::DeletionsHeld { ids, reason } => {
                run.row.error_log = Some(reason);
                run.held = ids;
            }
            RunEnd::RecordsFailed { failed, reason } => {
                run.row.error_log = Some(reason);
                run.row.failed_items = i64::try_from(failed).unwrap_or(i64::MAX);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl SyncRunOperator for MemoryStore {
    async fn create(&self, run: NewRun) -> Result<Run> {
        let mut state = self.state();
        state.refuse_second(&run.entity, run.run_type)?;
        let id = RunId(state.next_id());
        let run = new_run(id, run, state.now.0);
        state.runs.insert(id, run);
        state.run_view(id)
    }

    async fn cancel(&self, id: RunId) -> Result<Run> {
        let mut state = self.state();
        let now = state.now.0;
        let run = state.runs.get_mut(&id).ok_or_else(|| unknown(id))?;
        if !run.row.status.is_active() {
            return Err(Error::conflict(format!("run {id} has ended: {}", run.row.status)));
        }
        run.end(RunStatus::Cancelled, now);
        state.take_out(id);
        state.run_view(id)
    }

    async fn resume(&self, id: RunId) -> Result<Run> {
        self.change(|state| {
            let run = state.runs.get(&id).ok_or_else(|| unknown(id))?;
            let status = run.row.status;
            if !matches!(status, RunStatus::Failed | RunStatus::Cancelled) {
                let message = format!("run {id} is {status}, so there is nothing to resume");
                return Err(Error::conflict(message));
            }
            state.refuse_second(&run.row.entity_type, run.row.run_type)?;
            if let Some(run) = state.runs.get_mut(&id) {
                // A list that was read to its end is not read again. The run then waits for its items.
                run.row.status = if run.row.listing_done { RunStatus::Running } else { RunStatus::Pending };
                run.row.completed_at = None;
                run.row.error_log = None;
                run.checkpoint.resumed = true;
            }
            state.put_back(id);
            state.finish_run(id);
            state.run_view(id)
        })
    }

    async fn confirm_deletions(&self, id: RunId) -> Result<u64> {
        self.change(|state| {
            let run = state.runs.get(&id).ok_or_else(|| unknown(id))?;
            if run.held.is_empty() {
                return Ok(0);
            }
            if !run.row.status.is_active() {
                state.refuse_second(&run.row.entity_type, run.row.run_type)?;
            }
            Ok(state.release_held(id))
        })
    }

    async fn get_run(&self, id: RunId) -> Result<Option<Run>> {
        let state = self.state();
        Ok(state.runs.get(&id).map(|run| run.view(&state)))
    }

    async fn list_runs<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>> {
        let (below, state) = (RunId(below(cursor)?), self.state());
        let wanted = state.runs.range(..below).rev().filter(|(_, run)| {
            filter.entity.as_ref().is_none_or(|entity| *entity == run.row.entity_type)
                && filter.status.is_none_or(|status| status == run.row.status)
                && filter.run_type.is_none_or(|run_type| run_type == run.row.run_type)
        });
        Ok(page(wanted.map(|(id, run)| (id.0, run.view(&state))), limit))
    }

    async fn history(&self, entity: &EntityType) -> Result<RunHistory> {
        Ok(self.state().history(entity))
    }
}

impl State {
    fn history(&self, entity: &EntityType) -> RunHistory {
        let is_completed =
            |run: &&RunState| run.row.entity_type == *entity && run.row.status == RunStatus::Completed;
        let completed = self.runs.values().rev().filter(is_completed);
        RunHistory {
            cursor: self.cursors.get(entity).copied(),
            last_full_count: self.last_full_counts.get(entity).copied(),
            completed: completed.take(HISTORY).map(|run| run.view(self)).collect(),
        }
    }

    fn refuse_second(&self, entity: &EntityType, run_type: RunType) -> Result<()> {
        let rows = self.runs.values().map(|run| &run.row);
        let is_second = |row: &&Run| row.entity_type == *entity && row.run_type.excludes(run_type);
        match rows.filter(|row| row.status.is_active()).find(is_second) {
            Some(row) => Err(Error::conflict(format!("run {} of {entity} is active", row.id))),
            None => Ok(()),
        }
    }

    fn run_view(&self, id: RunId) -> Result<Run> {
        self.runs.get(&id).map(|run| run.view(self)).ok_or_else(|| unknown(id))
    }

    fn store_page(&mut self, id: RunId, page: PageCommit) {
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
                    run.row.unchanged_items += 1;
                }
            }
            run.checkpoint = page.checkpoint;
            // The lease remains, because a commit with an unknown outcome is repeated.
            run.row.listing_done |= page.last;
        }
        for item in page.items {
            self.enqueue(item);
        }
        self.finish_run(id);
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

    /// Returns true if an event, an operator or a run that was not cancelled waits for the item.
    fn is_wanted(&self, item: ItemId) -> bool {
        let is_cancelled =
            |run: &RunId| self.runs.get(run).is_some_and(|run| run.row.status == RunStatus::Cancelled);
        self.items.get(&item).is_some_and(|item| {
            item.waiters.iter().any(|entry| !matches!(&entry.waiter, Waiter::Run(run) if is_cancelled(run)))
        })
    }

    /// Queues again the work that the cancellation took out.
    fn put_back(&mut self, id: RunId) {
        let kept = self.runs.get_mut(&id).map(|run| std::mem::take(&mut run.kept)).unwrap_or_default();
        for (key, lane, work) in kept {
            self.enqueue(NewItem { key, lane, work, waiter: Waiter::Run(id) });
        }
    }

    fn release_held(&mut self, id: RunId) -> u64 {
        let Some(run) = self.runs.get_mut(&id) else { return 0 };
        let (held, entity) = (std::mem::take(&mut run.held), run.row.entity_type.clone());
        run.listed.extend(held.iter().map(|record| (record.clone(), Reached::Listed)));
        run.row.error_log = None;
        if !run.row.status.is_active() {
            run.row.status = RunStatus::Running;
            run.row.completed_at = None;
        }
        let released = held.len() as u64;
        for record in held {
            let key = RecordKey::new(entity.clone(), record).into();
            self.enqueue(NewItem { key, lane: Lane::Operator, work: Work::fetch(), waiter: Waiter::Run(id) });
        }
        released
    }
}

impl RunState {
    /// Returns true if the run is pending, or if the process that listed it lost its lease before the list
    /// ended.
    fn can_be_taken(&self, now: OffsetDateTime) -> bool {
        match self.row.status {
            RunStatus::Pending => true,
            RunStatus::Running => {
                !self.row.listing_done && self.lease.is_none_or(|(_, expires_at)| expires_at <= now)
            }
            _ => false,
        }
    }
}

fn new_run(id: RunId, request: NewRun, now: OffsetDateTime) -> RunState {
    let verify = (request.run_type == RunType::Verify).then(|| {
        let part = request.verify.unwrap_or_default();
        VerifyPart { verification: part.verification.or(Some(id)), ..part }
    });
    RunState {
        row: Run {
            id,
            run_type: request.run_type,
            entity_type: request.entity,
            source_type: request.source_type,
            status: RunStatus::Pending,
            total_items: 0,
            processed_items: 0,
            failed_items: 0,
            unchanged_items: 0,
            pages: 0,
            plan: None,
            calls: 0,
            listing_done: false,
            expected_items: None,
            since: request.since,
            selection: request.selection,
            created_at: now,
            started_at: None,
            completed_at: None,
            error_log: None,
            requested_by: Some(request.requested_by),
            target_database: Some("memory".to_owned()),
            held_deletions: 0,
            verify,
        },
        lease: None,
        checkpoint: Default::default(),
        listed: Default::default(),
        open: Default::default(),
        held: Vec::new(),
        kept: Vec::new(),
    }
}

fn unknown(id: RunId) -> Error {
    Error::not_found(format!("there is no run {id}"))
}
