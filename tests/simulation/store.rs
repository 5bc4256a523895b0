//! The store as one process reaches it: through its gate, with faults, and with the planted bug.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    clock::Clock,
    engine::{Schedule, ScheduleSpec},
    error::{Error, Result},
    guard::SyncState,
    inbox::{Accepted, Inbox, NewEvent},
    limits::shared_state::{Document, SharedState},
    memory::MemoryStore,
    mirror::{Applied, Difference, Mirror, MirrorSchema},
    queue::{
        ClaimRequest, Claimed, Lane, Lease, LeaseToken, NewItem, Outcome, Page, Queue, Settle, Settled,
        Settlement, Waiter, Work, WorkerId,
    },
    record::{Content, EntityType, Interval, Moves, Observed, Read, RecordId, RecordKey, Shape},
    runs::{
        NewRun, PageCommit, Run, RunEnd, RunFilter, RunHistory, RunId, RunLease, RunPlan, SyncRun,
        SyncRunOperator,
    },
    verify::{
        DriftClass, EntityReport, LocalRecord, Look, MoneyDifference, Suspect, VerificationReport,
        VerifiedRun, VerifyCounts, VerifyOperator, VerifyStore,
    },
};
use time::OffsetDateTime;

use crate::{bugs::Bug, kinds::KINDS, process::Process, source::OUTAGE, watch::Watch, world::World};

/// The store of one process.
#[derive(Clone)]
pub(crate) struct FaultyStore {
    pub(crate) inner: MemoryStore,
    pub(crate) process: Arc<Process>,
    pub(crate) world: Arc<World>,
    pub(crate) watch: Arc<Watch>,
}

impl FaultyStore {
    fn has(&self, bug: Bug) -> bool {
        self.world.plan.bug == Some(bug)
    }
}

#[async_trait]
impl Inbox for FaultyStore {
    async fn accept(&self, mut event: NewEvent) -> Result<Accepted> {
        if self.has(Bug::DedupeSkipped) {
            event.event_id = format!("{}-{}", event.event_id, self.world.dice.next());
        }
        if self.has(Bug::DedupeByRecord) {
            event.event_id = format!("{}:{:?}:{}", event.entity_type, event.entity_id, event.event_type);
        }
        self.process.call("accept", self.inner.accept(event)).await
    }
}

#[async_trait]
impl Queue for FaultyStore {
    async fn enqueue(&self, items: Vec<NewItem>) -> Result<()> {
        self.process.call("enqueue", self.inner.enqueue(items)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>> {
        assert!(request.scope.is_everything(), "no process of the simulation takes a part only");
        let unanswered = std::sync::Mutex::new(Vec::new());
        let effect = async {
            let items = self.inner.claim(request).await?;
            self.watch.claimed(&self.process, &items, request.lease);
            *unanswered.lock().expect("whole") =
                items.iter().map(|item| Lease { id: item.id, token: item.token }).collect();
            for item in &items {
                self.world.note("claim", [item.id.0.cast_unsigned(), item.token.0.cast_unsigned()], || {
                    item.key.to_string()
                });
            }
            Ok(items)
        };
        let answer = self.process.call("claim", effect).await;
        if answer.is_err() {
            self.watch.let_go(&unanswered.lock().expect("whole"));
        }
        answer
    }

    async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>> {
        if self.has(Bug::LeaseForgotten) {
            return Ok(leases.to_vec());
        }
        self.process.call("renew", self.inner.renew(leases, lease)).await
    }

    async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
        if self.has(Bug::LeaseForgotten) {
            return Ok(leases.to_vec());
        }
        self.process.call("held", self.inner.held(leases)).await
    }

    async fn mark_processing(&self, leases: &[Lease]) -> Result<()> {
        self.process.call("mark_processing", self.inner.mark_processing(leases)).await
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<Settled> {
        let leases: Vec<Lease> = settlements.iter().map(|settlement| settlement.lease).collect();
        for settlement in &mut settlements {
            if self.has(Bug::NoFence) {
                settlement.lease = self.watch.lease_of(settlement.lease.id).unwrap_or(settlement.lease);
            }
            if self.has(Bug::WakeUpLost) {
                settlement.generation = i64::MAX;
            }
        }
        for settlement in &settlements {
            self.world.note("settling", [settlement.lease.id.0.cast_unsigned(), 0], || {
                format!("{} {:?}", settlement.lease.id, settlement.settle)
            });
        }
        let effect = async {
            let looks = settlements.iter().map(|one| self.inner.waiting(one.lease.id)).collect();
            if self.world.strikes("settling waits for a lock", self.world.plan.store_locked) {
                tokio::time::sleep(self.world.dice.millis(2_000)).await;
            }
            if self.has(Bug::LatecomersMissed) {
                self.miss_latecomers(&settlements, looks);
            }
            let lost = self.watch.lost(&leases);
            let settled = self.inner.settle(settlements).await?;
            if settled.fenced < lost {
                self.world.violated(format!("{lost} claims were lost, {} fenced", settled.fenced));
            }
            self.watch.settled(&leases).await;
            Ok(settled)
        };
        let answer = self.process.call("settle", effect).await;
        if answer.is_err() {
            self.watch.let_go(&leases);
        }
        answer
    }

    async fn wait(&self, timeout: Duration) {
        self.inner.wait(timeout).await;
        self.process.gate().await;
    }
}

impl FaultyStore {
    /// Loses the waiters that attached to an item after the earlier look and brought no new work. A correct store has
    /// to look again when it settles.
    fn miss_latecomers(&self, settlements: &[Settlement], looks: Vec<Vec<(Waiter, i64)>>) {
        for (settlement, look) in settlements.iter().zip(looks) {
            if !matches!(settlement.settle, Settle::Complete(_)) || self.watch.lost(&[settlement.lease]) > 0 {
                continue;
            }
            let waiting = self.inner.waiting(settlement.lease.id);
            if waiting.iter().any(|(_, generation)| *generation > settlement.generation) {
                continue;
            }
            for (waiter, _) in
                waiting.into_iter().filter(|(waiter, _)| look.iter().all(|(seen, _)| seen != waiter))
            {
                self.inner.lose_waiter(settlement.lease.id, waiter);
            }
        }
    }
}

#[async_trait]
impl Mirror for FaultyStore {
    async fn states(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashMap<RecordId, SyncState>> {
        self.process.call("states", self.inner.states(entity, ids)).await
    }

    async fn compare(&self, schema: &MirrorSchema, reads: &[Read]) -> Result<HashMap<RecordId, Difference>> {
        self.process.call("compare", self.inner.compare(schema, reads)).await
    }

    async fn apply(&self, schema: &MirrorSchema, reads: Vec<Read>) -> Vec<Result<Applied>> {
        let (keys, count): (Vec<RecordKey>, usize) =
            (reads.iter().map(|read| read.key.clone()).collect(), reads.len());
        let effect = async {
            let mut results = Vec::with_capacity(count);
            for read in reads {
                let key = read.key.clone();
                let result = match self.tampered(schema, read).await {
                    Some(read) if self.has(Bug::OldLinesForgotten) => {
                        self.apply_new_lines(schema, read).await
                    }
                    Some(read) => self.inner.apply(schema, vec![read]).await.pop(),
                    None => Some(Ok(Applied::Done(Outcome::Stale))),
                };
                let result = result.unwrap_or_else(|| Err(Error::internal("no answer")));
                self.world.note("apply", [self.process.number, 0], || format!("{key} {result:?}"));
                results.push(result);
            }
            self.watch.applied(&keys);
            Ok(results)
        };
        match self.process.call("apply", effect).await {
            Ok(results) => results,
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

impl FaultyStore {
    /// Applies a read, and reads again only the records that it names itself.
    async fn apply_new_lines(&self, schema: &MirrorSchema, mut read: Read) -> Option<Result<Applied>> {
        read.follow = None;
        let Content::Present(record) = &read.content else {
            return self.inner.apply(schema, vec![read]).await.pop();
        };
        let named: Vec<RecordKey> = record.moves.iter().flat_map(Moves::all).collect();
        let applied = self.inner.apply(schema, vec![read]).await.pop();
        if let Some(Ok(Applied::Done(Outcome::Applied))) = &applied {
            let items = named.into_iter().map(|key| NewItem::new(key, Lane::Derived, Work::fetch()));
            let queued = self.inner.enqueue(items.collect()).await;
            queued.expect("the store in memory answers");
        }
        applied
    }

    /// Applies a planted bug of the guard to the read; `None` means that the read is not written.
    async fn tampered(&self, schema: &MirrorSchema, mut read: Read) -> Option<Read> {
        let Content::Present(record) = &mut read.content else { return Some(read) };
        // The engine reads the whole record because of such a row. The row is then known beside the record.
        if self.has(Bug::ListRowBlanks)
            && (read.shape == Shape::List || read.listed.is_some())
            && KINDS[crate::kinds::index_of(&schema.entity)].needs_detail
        {
            record.fields.insert("b".to_owned(), serde_json::Value::Null);
        }
        let state = self.inner.states(&schema.entity, std::slice::from_ref(&read.key.id)).await.ok()?;
        let known = state.get(&read.key.id).and_then(|state| state.version);
        let equal = known.is_some() && record.version == known;
        let newer = known.is_none() || record.version > known;
        if self.has(Bug::GuardStrict) && !newer {
            return None;
        }
        if self.has(Bug::GuardSkipped) && !newer || self.has(Bug::GuardLoose) && equal {
            record.version = known;
            let now = self.world.clock.now() + time::Duration::seconds(1);
            read.observed = Observed::Call(Interval { began: now, ended: now });
        }
        Some(read)
    }
}

#[async_trait]
impl SyncRun for FaultyStore {
    async fn claim_run(
        &self,
        worker: &WorkerId,
        lease: Duration,
        among: Option<&[RunId]>,
    ) -> Result<Option<RunLease>> {
        self.process.call("claim_run", self.inner.claim_run(worker, lease, among)).await
    }

    async fn renew_run(
        &self,
        id: RunId,
        token: LeaseToken,
        lease: Duration,
        plan: Option<&RunPlan>,
    ) -> Result<()> {
        self.process.call("renew_run", self.inner.renew_run(id, token, lease, plan)).await
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, mut page: PageCommit) -> Result<i64> {
        if self.has(Bug::PageDropped) && !page.last && self.world.strikes("page dropped", 600) {
            return Ok(self.inner.get_run(id).await?.map_or(0, |run| run.total_items));
        }
        if self.has(Bug::CursorPastWindow) {
            page.checkpoint.window_to = page.checkpoint.window_to.map(|to| to + time::Duration::MINUTE);
        }
        let effect = async {
            if self.has(Bug::DeletionUnconfirmed) && page.last {
                self.delete_unconfirmed(&page).await;
            }
            let listed = self.inner.commit_page(id, token, page.clone()).await?;
            self.world.note("page", [id.0.cast_unsigned(), page.checkpoint.pages.cast_unsigned()], || {
                let rows: Vec<&str> = page.listed.iter().map(RecordId::as_str).collect();
                format!("of run {id}: {rows:?}, {} to do, {:?}", page.items.len(), page.checkpoint)
            });
            self.watch.page(id, &page).await;
            Ok(listed)
        };
        self.process.call("commit_page", effect).await
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        self.process.call("missing", self.inner.missing(id, entity)).await
    }

    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()> {
        if let RunEnd::Failed { error } = &end {
            self.world.note("run fails", [id.0.cast_unsigned(), 0], || error.clone());
            if error.contains(OUTAGE) {
                self.world.violated(format!("run {id} failed by an outage: {error}"));
            }
        }
        self.process.call("end_run", self.inner.end_run(id, token, end)).await
    }
}

#[async_trait]
impl SyncRunOperator for FaultyStore {
    async fn create(&self, run: NewRun) -> Result<Run> {
        self.process.call("create", self.inner.create(run)).await
    }

    async fn cancel(&self, id: RunId) -> Result<Run> {
        self.process.call("cancel", self.inner.cancel(id)).await
    }

    async fn resume(&self, id: RunId) -> Result<Run> {
        self.process.call("resume", self.inner.resume(id)).await
    }

    async fn confirm_deletions(&self, id: RunId) -> Result<u64> {
        self.process.call("confirm_deletions", self.inner.confirm_deletions(id)).await
    }

    async fn get_run(&self, id: RunId) -> Result<Option<Run>> {
        self.process.call("get_run", self.inner.get_run(id)).await
    }

    async fn list_runs<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>> {
        self.process.call("list_runs", self.inner.list_runs(filter, limit, cursor)).await
    }

    async fn history(&self, entity: &EntityType) -> Result<RunHistory> {
        self.process.call("history", SyncRunOperator::history(&self.inner, entity)).await
    }
}

#[async_trait]
impl VerifyStore for FaultyStore {
    async fn local_records(
        &self,
        run: RunId,
        schema: &MirrorSchema,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<LocalRecord>> {
        if self.has(Bug::TargetForgotten) {
            return Ok(Vec::new());
        }
        self.process.call("local_records", self.inner.local_records(run, schema, after, limit)).await
    }

    async fn in_work(&self, entity: &EntityType, ids: &[RecordId]) -> Result<HashSet<RecordId>> {
        self.process.call("in_work", self.inner.in_work(entity, ids)).await
    }

    async fn suspect(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        if self.has(Bug::SuspectsForgotten) && self.world.dice.permille(300) {
            return Ok(());
        }
        self.process.call("suspect", self.inner.suspect(run, ids)).await?;
        if self.has(Bug::SecondLookForgotten) {
            let class = DriftClass::FieldDiff;
            let drift = || Look::Drift { class, fields: Vec::new() };
            let looks = ids.iter().map(|id| (Suspect::new(id.clone()), drift()));
            let schema =
                MirrorSchema { entity: EntityType::from_static("products"), head: None, children: &[] };
            self.inner.looked(run, &schema, &looks.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    async fn suspects(&self, run: RunId, limit: usize) -> Result<Vec<Suspect>> {
        self.process.call("suspects", self.inner.suspects(run, limit)).await
    }

    async fn looked(&self, run: RunId, schema: &MirrorSchema, looks: &[(Suspect, Look)]) -> Result<()> {
        for (suspect, look) in looks {
            let note = || format!("of run {run} at {}: {look:?}", suspect.id);
            self.world.note("look", [run.0.cast_unsigned(), 0], note);
        }
        self.process.call("looked", self.inner.looked(run, schema, looks)).await
    }

    async fn sample(&self, run: RunId, size: usize) -> Result<Vec<RecordId>> {
        self.process.call("sample", self.inner.sample(run, size)).await
    }

    async fn count(&self, run: RunId, counts: VerifyCounts) -> Result<()> {
        self.process.call("count", VerifyStore::count(&self.inner, run, counts)).await
    }

    async fn unreadable(&self, run: RunId, limit: usize) -> Result<(u64, Vec<(RecordId, String)>)> {
        self.process.call("unreadable", self.inner.unreadable(run, limit)).await
    }

    async fn differing(&self, run: RunId) -> Result<Vec<(RecordId, DriftClass)>> {
        self.process.call("differing", self.inner.differing(run)).await
    }
}

#[async_trait]
impl VerifyOperator for FaultyStore {
    async fn report(&self, id: Option<RunId>, examples: usize) -> Result<Option<VerificationReport>> {
        self.process.call("report", self.inner.report(id, examples)).await
    }

    async fn current(&self) -> Result<Vec<EntityReport>> {
        self.process.call("current", self.inner.current()).await
    }

    async fn unfinished(&self) -> Result<Vec<RunId>> {
        self.process.call("unfinished", self.inner.unfinished()).await
    }

    async fn repaired(&self, run: RunId, ids: &[RecordId]) -> Result<()> {
        self.process.call("repaired", self.inner.repaired(run, ids)).await
    }

    async fn finish(&self, id: RunId, money: &[MoneyDifference]) -> Result<()> {
        self.process.call("finish", self.inner.finish(id, money)).await
    }

    async fn history(&self, since: OffsetDateTime) -> Result<Vec<VerifiedRun>> {
        self.process.call("history of verifications", VerifyOperator::history(&self.inner, since)).await
    }
}

#[async_trait]
impl SharedState for FaultyStore {
    async fn load(&self, name: &str) -> Result<Document> {
        self.process.call("load", self.inner.load(name)).await
    }

    async fn swap(&self, name: &str, version: u64, text: &str) -> Result<bool> {
        self.process.call("swap", self.inner.swap(name, version, text)).await
    }
}

impl FaultyStore {
    async fn delete_unconfirmed(&self, page: &PageCommit) {
        for item in page.items.iter().filter(|item| item.work.payload.is_none()) {
            let now = self.world.clock.now();
            let observed = Observed::Call(Interval { began: now, ended: now });
            let key = RecordKey::new(item.key.entity.clone(), item.key.id.clone());
            let content = Content::Absent;
            let read = Read {
                key: key.clone(),
                shape: Shape::Detail,
                observed,
                content,
                listed: None,
                follow: None,
                cause: None,
            };
            let schema = &KINDS[crate::kinds::index_of(&key.entity)].schema;
            self.inner.apply(schema, vec![read]).await;
            self.watch.applied(&[key]);
        }
    }
}

#[async_trait]
impl Schedule for FaultyStore {
    async fn lead(&self, worker: &WorkerId, lease: Duration) -> Result<bool> {
        self.process.call("lead", self.inner.lead(worker, lease)).await
    }

    async fn resign(&self, worker: &WorkerId) -> Result<()> {
        self.process.call("resign", self.inner.resign(worker)).await
    }

    async fn due(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ScheduleSpec>> {
        self.process.call("due", self.inner.due(schedules)).await
    }
}
