//! Budgets of calls, and renewals.

use async_trait::async_trait;

use super::{MemoryStore, state::RunState};
use crate::{
    error::Result,
    limits::{
        budget::{BudgetRequest, BudgetStatus, CallBudget, CallCount, Grant, Limits, Usage, merge},
        credentials::{Claim, CredentialLeases, RenewalResult, RenewalRule},
    },
};

#[async_trait]
impl CallBudget for MemoryStore {
    async fn exchange(&self, account: &str, limits: &Limits, request: &BudgetRequest) -> Result<Grant> {
        let now = self.now();
        Ok(self.state().budgets.entry(account.to_owned()).or_default().exchange(now, limits, request))
    }

    async fn status(&self, account: &str, limits: &Limits) -> Result<BudgetStatus> {
        let now = self.now();
        Ok(self.state().budgets.entry(account.to_owned()).or_default().status(now, limits))
    }

    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        let today = (account.to_owned(), self.now().date());
        let mut state = self.state();
        merge(state.calls.entry(today).or_default(), calls);
        for count in calls {
            let Some(run_type) = count.lane.run_type() else { continue };
            let its_own = |run: &&mut RunState| {
                count.entity.as_ref() == Some(&run.request.entity) && run.request.run_type == run_type
            };
            if let Some(run) = state.runs.values_mut().rev().find(its_own) {
                run.calls += i64::from(count.calls);
            }
        }
        Ok(())
    }

    async fn usage(&self, account: &str) -> Result<Usage> {
        let today = self.now().date();
        let state = self.state();
        let applied = state.applied_since(today.midnight().assume_utc());
        let calls = state.calls.get(&(account.to_owned(), today)).cloned().unwrap_or_default();
        Ok(Usage { calls, applied })
    }
}

#[async_trait]
impl CredentialLeases for MemoryStore {
    async fn turn(
        &self,
        name: &str,
        rule: &RenewalRule,
        shares: bool,
        rejected: Option<u64>,
    ) -> Result<Claim> {
        let now = self.now();
        Ok(self.state().renewals.entry(name.to_owned()).or_default().turn(now, rule, shares, rejected))
    }

    async fn finish(
        &self,
        name: &str,
        rule: &RenewalRule,
        ticket: u64,
        outcome: RenewalResult,
    ) -> Result<u64> {
        let now = self.now();
        Ok(self.state().renewals.entry(name.to_owned()).or_default().finish(now, rule, ticket, outcome))
    }
}
