//! A budget that gives too much.

use std::sync::Arc;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    limits::budget::{BudgetRequest, BudgetStatus, CallBudget, CallCount, Grant, Limits, Usage},
    memory::MemoryStore,
    testkit::conformance::Stores,
};

use crate::memory::Memory;

/// Takes a call that has ended for one that was never sent.
struct Forgetful(MemoryStore);

pub(super) fn forgets_calls(intact: &Memory, stores: &mut Stores) {
    stores.budget = Arc::new(Forgetful(intact.store.clone()));
}

#[async_trait]
impl CallBudget for Forgetful {
    async fn exchange(&self, account: &str, limits: &Limits, request: &BudgetRequest) -> Result<Grant> {
        let mut request = request.clone();
        request.unused.extend(request.settled.drain(..).map(|call| call.permit));
        self.0.exchange(account, limits, &request).await
    }

    async fn status(&self, account: &str, limits: &Limits) -> Result<BudgetStatus> {
        self.0.status(account, limits).await
    }

    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        self.0.count(account, calls).await
    }

    async fn usage(&self, account: &str) -> Result<Usage> {
        self.0.usage(account).await
    }
}
