//! The statistics of calls of a process that shares them with no other process.

use std::{collections::HashMap, sync::Mutex};

use async_trait::async_trait;

use super::{CallCount, CallLog, Usage};
use crate::{error::Result, lock::lock};

/// Counts calls by account since the process started.
#[derive(Default)]
pub(super) struct LocalCallLog {
    accounts: Mutex<HashMap<String, Vec<CallCount>>>,
}

#[async_trait]
impl CallLog for LocalCallLog {
    async fn count(&self, account: &str, calls: &[CallCount]) -> Result<()> {
        let mut accounts = lock(&self.accounts);
        merge(accounts.entry(account.to_owned()).or_default(), calls);
        Ok(())
    }

    async fn usage(&self, account: &str) -> Result<Usage> {
        let accounts = lock(&self.accounts);
        Ok(Usage { calls: accounts.get(account).cloned().unwrap_or_default(), applied: 0 })
    }
}

/// Adds counts to the counts of the same kind.
pub(crate) fn merge(sums: &mut Vec<CallCount>, more: &[CallCount]) {
    for count in more {
        let same = |sum: &&mut CallCount| CallCount { calls: count.calls, ..(**sum).clone() } == *count;
        match sums.iter_mut().find(same) {
            Some(sum) => sum.calls = sum.calls.saturating_add(count.calls),
            None => sums.push(count.clone()),
        }
    }
}
