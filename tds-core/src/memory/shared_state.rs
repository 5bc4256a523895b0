//! The documents that processes share, and the statistics of calls.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{Item, RunState},
};
use crate::{
    error::Result,
    limits::{
        budget::{CallCount, CallLog, Usage, merge},
        shared_state::{Document, SharedState, document, replace},
    },
    queue::Outcome,
    runs::RunType,
};

#[async_trait]
impl SharedState for MemoryStore {
    async fn load(&self, name: &str) -> Result<Document> {
        let state = self.state();
        Ok(document(&state.documents, name, state.now.0))
    }

    async fn swap(&self, name: &str, version: u64, text: &str) -> Result<bool> {
        Ok(replace(&mut self.state().documents, name, version, text))
    }
}

#[async_trait]
impl CallLog for MemoryStore {
    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        let mut state = self.state();
        let today = (account.to_owned(), state.now.0.date());
        merge(state.calls.entry(today).or_default(), calls);
        for count in calls {
            let Some(run_type) = RunType::of_lane(count.lane) else { continue };
            let its_own = |run: &&mut RunState| {
                count.entity.as_ref() == Some(&run.row.entity_type) && run.row.run_type == run_type
            };
            if let Some(run) = state.runs.values_mut().rev().find(its_own) {
                run.row.calls += i64::from(count.calls);
            }
        }
        Ok(())
    }

    async fn usage(&self, account: &str) -> Result<Usage> {
        let state = self.state();
        let today = state.now.0.date();
        let has_changed = |item: &&Item| {
            matches!(item.outcome, Some(Outcome::Applied | Outcome::Deleted))
                && item.ended_at.is_some_and(|at| at >= today.midnight().assume_utc())
        };
        let applied = state.items.values().filter(has_changed).count() as u64;
        let calls = state.calls.get(&(account.to_owned(), today)).cloned().unwrap_or_default();
        Ok(Usage { calls, applied })
    }
}
