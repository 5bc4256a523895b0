//! Ledgers of runs that lose parts of a page.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tds_core::{
    error::Result,
    memory::MemoryStore,
    queue::{LeaseToken, Page, WorkerId},
    record::{EntityType, RecordId},
    runs::{Checkpoint, NewRun, PageCommit, Run, RunFilter, RunId, RunLease, RunPlan, SyncRun},
    source::ListFacts,
    testkit::conformance::Stores,
};
use time::OffsetDateTime;

use crate::memory::Memory;

/// What becomes of pages, and of leases.
struct Broken {
    store: MemoryStore,
    page: fn(&mut PageCommit),
    lease: fn(&mut RunLease),
}

#[async_trait]
impl SyncRun for Broken {
    async fn create(&self, run: NewRun) -> Result<Run> {
        self.store.create(run).await
    }

    async fn claim_run(&self, worker: &WorkerId, lease: Duration) -> Result<Option<RunLease>> {
        let mut claimed = self.store.claim_run(worker, lease).await?;
        claimed.iter_mut().for_each(self.lease);
        Ok(claimed)
    }

    async fn claim_run_of(
        &self,
        worker: &WorkerId,
        lease: Duration,
        runs: &[RunId],
    ) -> Result<Option<RunLease>> {
        let mut claimed = self.store.claim_run_of(worker, lease, runs).await?;
        claimed.iter_mut().for_each(self.lease);
        Ok(claimed)
    }

    async fn renew_run(&self, id: RunId, token: LeaseToken, lease: Duration) -> Result<()> {
        self.store.renew_run(id, token, lease).await
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, mut page: PageCommit) -> Result<()> {
        (self.page)(&mut page);
        self.store.commit_page(id, token, page).await
    }

    async fn keep_plan(&self, id: RunId, token: LeaseToken, plan: &RunPlan) -> Result<()> {
        self.store.keep_plan(id, token, plan).await
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        self.store.missing(id, entity).await
    }

    async fn hold_deletions(
        &self,
        id: RunId,
        token: LeaseToken,
        ids: Vec<RecordId>,
        reason: &str,
    ) -> Result<()> {
        self.store.hold_deletions(id, token, ids, reason).await
    }

    async fn confirm_deletions(&self, id: RunId) -> Result<u64> {
        self.store.confirm_deletions(id).await
    }

    async fn fail(&self, id: RunId, token: LeaseToken, error: &str) -> Result<()> {
        self.store.fail(id, token, error).await
    }

    async fn cancel(&self, id: RunId) -> Result<Run> {
        self.store.cancel(id).await
    }

    async fn resume(&self, id: RunId) -> Result<Run> {
        self.store.resume(id).await
    }

    async fn get_run(&self, id: RunId) -> Result<Option<Run>> {
        self.store.get_run(id).await
    }

    async fn runs_page<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>> {
        self.store.runs_page(filter, limit, cursor).await
    }

    async fn cursor(&self, entity: &EntityType) -> Result<Option<OffsetDateTime>> {
        self.store.cursor(entity).await
    }

    async fn last_full_count(&self, entity: &EntityType) -> Result<Option<i64>> {
        self.store.last_full_count(entity).await
    }

    async fn list_facts(&self, entity: &EntityType) -> Result<ListFacts> {
        self.store.list_facts(entity).await
    }

    async fn keep_list_facts(&self, entity: &EntityType, facts: ListFacts) -> Result<()> {
        self.store.keep_list_facts(entity, facts).await
    }
}

/// Takes a page's position and forgets its work.
pub(super) fn drops_items(intact: &Memory, stores: &mut Stores) {
    let page = |page: &mut PageCommit| page.items.clear();
    stores.runs = Arc::new(Broken { store: intact.store.clone(), page, lease: |_| {} });
}

/// Begins every run that it hands out at the first page.
pub(super) fn forgets_checkpoints(intact: &Memory, stores: &mut Stores) {
    let lease = |lease: &mut RunLease| lease.checkpoint = Checkpoint::default();
    stores.runs = Arc::new(Broken { store: intact.store.clone(), page: |_| {}, lease });
}
