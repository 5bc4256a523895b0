//! A budget of one process alone, in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{BudgetRequest, BudgetState, BudgetStatus, CallBudget, CallCount, Grant, Limits, Usage};
use crate::{clock::Clock, error::Result};

/// The budget of a process that shares it with nobody. Its time is the clock's when it was made, and goes on with
/// tokio's, which never jumps.
pub struct LocalBudget {
    began: OffsetDateTime,
    since: Instant,
    accounts: Mutex<HashMap<String, Account>>,
}

#[derive(Default)]
struct Account {
    state: BudgetState,
    calls: Vec<CallCount>,
}

impl LocalBudget {
    /// An empty one.
    #[must_use]
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { began: clock.now(), since: Instant::now(), accounts: Mutex::default() }
    }

    fn now(&self) -> OffsetDateTime {
        self.began + self.since.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CallBudget for LocalBudget {
    async fn exchange(&self, account: &str, limits: &Limits, request: &BudgetRequest) -> Result<Grant> {
        Ok(self.lock().entry(account.to_owned()).or_default().state.exchange(self.now(), limits, request))
    }

    async fn status(&self, account: &str, limits: &Limits) -> Result<BudgetStatus> {
        Ok(self.lock().entry(account.to_owned()).or_default().state.status(self.now(), limits))
    }

    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        let mut accounts = self.lock();
        merge(&mut accounts.entry(account.to_owned()).or_default().calls, calls);
        Ok(())
    }

    async fn usage(&self, account: &str) -> Result<Usage> {
        let calls = self.lock().get(account).map(|account| account.calls.clone()).unwrap_or_default();
        Ok(Usage { calls, applied: 0 })
    }
}

/// Adds counts to counts of the same kind.
pub(crate) fn merge(sums: &mut Vec<CallCount>, more: &[CallCount]) {
    for count in more {
        let same = |sum: &&mut CallCount| {
            let kind =
                |one: &CallCount| (one.lane, one.entity.clone(), one.endpoint.clone(), one.result.clone());
            kind(sum) == kind(count)
        };
        match sums.iter_mut().find(same) {
            Some(sum) => sum.calls = sum.calls.saturating_add(count.calls),
            None => sums.push(count.clone()),
        }
    }
}
