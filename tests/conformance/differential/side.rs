//! One of the two stores, with the operations that are executed on it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::operation::{ENTITIES, End, Operation, Record, at};
use proptest::sample::Index;
use serde_json::json;
use tds_core::{
    error::{Error, Result},
    inbox::{Disposition, InboxId, NewEvent},
    queue::{
        ClaimRequest, Claimed, ItemFilter, ItemStatus, Lane, Lease, NewItem, Outcome, Settle, Settlement,
        Waiter, Work, WorkKey, WorkerId,
    },
    record::{RecordId, RecordKey},
    runs::{Checkpoint, NewRun, PageCommit, RunEnd, RunId, RunLease, RunType},
    testkit::{ManualClock, conformance::Stores},
};

/// A limit that is larger than any list of a history.
pub(super) const ALL: usize = 500;

pub(super) struct Side {
    pub(super) stores: Stores,
    clock: Option<ManualClock>,
    pub(super) events: Vec<Known>,
    claims: Vec<Claimed>,
    runs: Vec<RunId>,
    leases: Vec<RunLease>,
    holds: u32,
    listed: HashMap<RunId, HashSet<u8>>,
}

/// An event, and the greatest number of items that it ever had.
pub(super) struct Known {
    pub(super) id: InboxId,
    pub(super) items: usize,
}

fn key((entity, number): Record) -> RecordKey {
    RecordKey::new(ENTITIES[entity].clone(), id(number))
}

fn id(number: u8) -> RecordId {
    RecordId::new(number.to_string())
}

fn keyed(work: &[(Record, Work)]) -> Disposition {
    Disposition::Work(work.iter().map(|(record, work)| (key(*record), work.clone())).collect())
}

/// Returns the chosen element, or `None` if the list is empty.
fn pick<'a, T>(index: &Index, all: &'a [T]) -> Option<&'a T> {
    (!all.is_empty()).then(|| index.get(all))
}

/// Returns an answer as text, without ids and times.
fn answered<T>(answer: Result<T>, show: impl FnOnce(T) -> String) -> String {
    answer.map_or_else(|error: Error| format!("{:?}", error.kind()), show)
}

impl Side {
    pub(super) fn new(stores: Stores, clock: Option<ManualClock>) -> Self {
        Self {
            stores,
            clock,
            events: Vec::new(),
            claims: Vec::new(),
            runs: Vec::new(),
            leases: Vec::new(),
            holds: 0,
            listed: HashMap::new(),
        }
    }

    /// Executes the operation and returns the answer as text.
    pub(super) async fn execute(&mut self, operation: &Operation) -> String {
        if let Some(clock) = &self.clock {
            clock.advance(Duration::from_millis(10));
        }
        match operation {
            Operation::Accept { delivery, work } => self.accept(*delivery, work).await,
            Operation::Replay { event, work } => {
                if self.events.is_empty() {
                    return String::new();
                }
                let place = event.index(self.events.len());
                let event = &mut self.events[place];
                event.items += work.len();
                let answer = self.stores.inbox_operator.replay(event.id, keyed(work)).await;
                answered(answer, |()| "replayed".to_owned())
            }
            Operation::Enqueue { direction, record, lane, work } => {
                let key = WorkKey { direction: *direction, ..key(*record).into() };
                let item = NewItem { key, lane: *lane, work: work.clone(), waiter: Waiter::Operator };
                answered(self.stores.queue.enqueue(vec![item]).await, |()| "queued".to_owned())
            }
            Operation::Claim { up_to, lease } => self.claim(*up_to, *lease).await,
            Operation::Settle { claim, end } => self.settle(claim, end).await,
            Operation::Retry { status, entity } => {
                let filter = filter(*status, *entity);
                answered(self.stores.queue_operator.retry(&filter).await, |count| count.to_string())
            }
            Operation::Discard { status, entity } => {
                let filter = filter(*status, *entity);
                answered(self.stores.queue_operator.discard(&filter).await, |count| count.to_string())
            }
            Operation::Pause { entity, paused } => {
                let answer = self.stores.queue_operator.set_paused(&ENTITIES[*entity], *paused).await;
                answered(answer, |()| "done".to_owned())
            }
            _ => self.execute_on_runs(operation).await,
        }
    }

    async fn execute_on_runs(&mut self, operation: &Operation) -> String {
        let runs = self.stores.runs.clone();
        let chosen_run = |index: &Index| pick(index, &self.runs).copied();
        let chosen_lease = |index: &Index| pick(index, &self.leases).map(|lease| (lease.run.id, lease.token));
        let done = |_| "done".to_owned();
        match operation {
            Operation::CreateRun { entity } => self.create_run(*entity).await,
            Operation::ClaimRun { lease } => self.claim_run(*lease).await,
            Operation::CommitPage { lease, listed, queued, last } => {
                self.commit(lease, listed, queued, *last).await
            }
            Operation::HoldDeletions { lease, held } => {
                let Some((run, token)) = chosen_lease(lease) else { return String::new() };
                // Held records were in no page of the run, and each record is held only once.
                self.holds += 1;
                let held =
                    held.iter().map(|number| RecordId::new(format!("{}-{number}", self.holds))).collect();
                answered(
                    runs.end_run(
                        run,
                        token,
                        RunEnd::DeletionsHeld { ids: held, reason: "too many".to_owned() },
                    )
                    .await,
                    done,
                )
            }
            Operation::FailRun { lease } => {
                let Some((run, token)) = chosen_lease(lease) else { return String::new() };
                answered(runs.end_run(run, token, RunEnd::Failed { error: "no list".to_owned() }).await, done)
            }
            Operation::ConfirmDeletions { run } => {
                let Some(run) = chosen_run(run) else { return String::new() };
                answered(runs.confirm_deletions(run).await, |count| count.to_string())
            }
            Operation::CancelRun { run } => {
                let Some(run) = chosen_run(run) else { return String::new() };
                answered(runs.cancel(run).await, |run| run.status.as_str().to_owned())
            }
            Operation::ResumeRun { run } => {
                let Some(run) = chosen_run(run) else { return String::new() };
                answered(runs.resume(run).await, |run| run.status.as_str().to_owned())
            }
            other => unreachable!("{other:?} is none of runs"),
        }
    }

    async fn accept(&mut self, delivery: u8, work: &[(Record, Work)]) -> String {
        let event = NewEvent {
            event_id: format!("delivery {delivery}"),
            source_type: "zoho".to_owned(),
            entity_type: ENTITIES[0].clone(),
            entity_id: None,
            event_type: "updated".to_owned(),
            raw_payload: vec![delivery],
            headers: json!({}),
            disposition: keyed(work),
        };
        let accepted = self.stores.inbox.accept(event).await.expect("accepted");
        if !accepted.duplicate {
            self.events.push(Known { id: accepted.id, items: work.len() });
        }
        let place = self.events.iter().position(|event| event.id == accepted.id);
        format!("{place:?} duplicate {}", accepted.duplicate)
    }

    async fn claim(&mut self, up_to: Lane, lease: Duration) -> String {
        let request = ClaimRequest { up_to, ..ClaimRequest::new(WorkerId("one".to_owned()), ALL, lease) };
        let mut claimed = self.stores.queue.claim(&request).await.expect("claimed");
        claimed.sort_by(|one, other| one.key.cmp(&other.key));
        let lines: Vec<String> = claimed
            .iter()
            .map(|item| {
                format!(
                    "{} {:?} g{} r{} l{} {:?}",
                    item.key, item.lane, item.generation, item.retry_count, item.lost_leases, item.work
                )
            })
            .collect();
        self.claims.extend(claimed);
        lines.join("\n")
    }

    async fn settle(&mut self, claim: &Index, end: &End) -> String {
        let Some(claimed) = pick(claim, &self.claims) else { return String::new() };
        let settle = match end {
            End::Applied => Settle::Complete(Outcome::Applied),
            End::Stale => Settle::Complete(Outcome::Stale),
            End::Retry(after) => Settle::Retry { after: *after, error: "away".to_owned() },
            End::Release { after, fetch, with_reason } => Settle::Release {
                after: *after,
                fetch: *fetch,
                reason: with_reason.then(|| "throttled".to_owned()),
            },
            End::DeadLetter => Settle::DeadLetter { error: "poison".to_owned() },
            End::Redirect(to, work) => Settle::Redirect { to: ENTITIES[*to].clone(), work: work.clone() },
        };
        let lease = Lease { id: claimed.id, token: claimed.token };
        let settlement = Settlement { lease, generation: claimed.generation, settle };
        format!("{:?}", self.stores.queue.settle(vec![settlement]).await.expect("settled"))
    }

    async fn create_run(&mut self, entity: usize) -> String {
        let request = NewRun {
            entity: ENTITIES[entity].clone(),
            run_type: RunType::Full,
            source_type: "zoho".to_owned(),
            since: None,
            selection: None,
            verify: None,
            requested_by: "test".to_owned(),
        };
        let created = self.stores.runs.create(request).await;
        self.runs.extend(created.as_ref().ok().map(|run| run.id));
        answered(created, |_| "created".to_owned())
    }

    async fn claim_run(&mut self, lease: Duration) -> String {
        let claimed =
            self.stores.runs.claim_run(&WorkerId("one".to_owned()), lease, None).await.expect("claimed");
        let place = claimed.as_ref().map(|lease| {
            let place = self.runs.iter().position(|run| *run == lease.run.id);
            (place, lease.checkpoint.clone())
        });
        self.leases.extend(claimed);
        format!("{place:?}")
    }

    async fn commit(&mut self, lease: &Index, listed: &[u8], queued: &[u8], last: bool) -> String {
        let Some(lease) = pick(lease, &self.leases).cloned() else { return String::new() };
        // A record that one run queues twice is covered by the conformance cases. No contract defines how often such a
        // record counts as failed if it fails twice.
        let known = self.listed.entry(lease.run.id).or_default();
        let is_new = |number: &u8| listed.contains(number) && !known.contains(number);
        let queued: Vec<u8> = queued.iter().copied().filter(is_new).collect();
        let item = |number: &u8| NewItem {
            key: RecordKey::new(lease.run.entity_type.clone(), id(*number)).into(),
            lane: Lane::Full,
            // These versions are partly older and partly newer than those of the deliveries, so that a dead letter
            // holds the cursor in different places.
            work: Work { version: Some(at(i64::from(*number))), payload: None, recheck: true },
            waiter: Waiter::Run(lease.run.id),
        };
        let pages = lease.checkpoint.pages + 1;
        let page = PageCommit {
            listed: listed.iter().map(|number| id(*number)).collect(),
            items: queued.iter().map(item).collect(),
            checkpoint: Checkpoint {
                cursor: Some(pages.to_string()),
                window_to: Some(at(10 * pages)),
                pages,
                listed: last,
                ..Checkpoint::default()
            },
            last,
        };
        let answer = self.stores.runs.commit_page(lease.run.id, lease.token, page).await;
        if answer.is_ok() {
            self.listed.entry(lease.run.id).or_default().extend(listed);
            for known in self.leases.iter_mut().filter(|known| known.token == lease.token) {
                known.checkpoint.pages = pages;
            }
        }
        answered(answer, |listed| format!("{listed} listed"))
    }
}

fn filter(status: Option<ItemStatus>, entity: Option<usize>) -> ItemFilter {
    ItemFilter { status, entity: entity.map(|entity| ENTITIES[entity].clone()), ..ItemFilter::default() }
}
