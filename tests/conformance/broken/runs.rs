//! Run stores that lose parts of a page.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tds_core::{
    error::Result,
    memory::MemoryStore,
    queue::{LeaseToken, Page, WorkerId},
    record::{EntityType, RecordId},
    runs::{
        Checkpoint, NewRun, PageCommit, Run, RunEnd, RunFilter, RunHistory, RunId, RunLease, RunPlan,
        SyncRun, SyncRunOperator,
    },
    testkit::conformance::Stores,
};

use crate::memory::Memory;

/// A run store that changes pages before they are committed, and leases after they are claimed.
struct Broken {
    store: MemoryStore,
    page: fn(&mut PageCommit),
    lease: fn(&mut RunLease),
}

#[async_trait]
impl SyncRun for Broken {
    async fn claim_run(
        &self,
        worker: &WorkerId,
        lease: Duration,
        among: Option<&[RunId]>,
    ) -> Result<Option<RunLease>> {
        let mut claimed = self.store.claim_run(worker, lease, among).await?;
        claimed.iter_mut().for_each(self.lease);
        Ok(claimed)
    }

    async fn renew_run(
        &self,
        id: RunId,
        token: LeaseToken,
        lease: Duration,
        plan: Option<&RunPlan>,
    ) -> Result<()> {
        self.store.renew_run(id, token, lease, plan).await
    }

    async fn commit_page(&self, id: RunId, token: LeaseToken, mut page: PageCommit) -> Result<i64> {
        (self.page)(&mut page);
        self.store.commit_page(id, token, page).await
    }

    async fn missing(&self, id: RunId, entity: &EntityType) -> Result<(i64, Vec<RecordId>)> {
        self.store.missing(id, entity).await
    }

    async fn end_run(&self, id: RunId, token: LeaseToken, end: RunEnd) -> Result<()> {
        self.store.end_run(id, token, end).await
    }
}

#[async_trait]
impl SyncRunOperator for Broken {
    async fn create(&self, run: NewRun) -> Result<Run> {
        self.store.create(run).await
    }

    async fn cancel(&self, id: RunId) -> Result<Run> {
        self.store.cancel(id).await
    }

    async fn resume(&self, id: RunId) -> Result<Run> {
        self.store.resume(id).await
    }

    async fn confirm_deletions(&self, id: RunId) -> Result<u64> {
        self.store.confirm_deletions(id).await
    }

    async fn get_run(&self, id: RunId) -> Result<Option<Run>> {
        self.store.get_run(id).await
    }

    async fn list_runs<'c>(
        &self,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&'c str>,
    ) -> Result<Page<Run>> {
        self.store.list_runs(filter, limit, cursor).await
    }

    async fn history(&self, entity: &EntityType) -> Result<RunHistory> {
        self.store.history(entity).await
    }
}

/// Commits the position of a page but forgets its work.
pub(super) fn drops_items(intact: &Memory, stores: &mut Stores) {
    let page = |page: &mut PageCommit| page.items.clear();
    stores.runs = Arc::new(Broken { store: intact.store.clone(), page, lease: |_| {} });
}

/// Starts every claimed run at the first page.
pub(super) fn forgets_checkpoints(intact: &Memory, stores: &mut Stores) {
    let lease = |lease: &mut RunLease| lease.checkpoint = Checkpoint::default();
    stores.runs = Arc::new(Broken { store: intact.store.clone(), page: |_| {}, lease });
}
