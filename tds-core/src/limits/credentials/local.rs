//! The renewals of one process alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Claim, CredentialLeases, RenewalResult, RenewalRule, RenewalState};
use crate::{clock::Clock, error::Result};

/// The renewals of a process that shares them with nobody. Its time is the clock's when it was made, and goes on
/// with tokio's, which never jumps.
pub struct LocalCredentialLeases {
    began: OffsetDateTime,
    since: Instant,
    names: Mutex<HashMap<String, RenewalState>>,
}

impl LocalCredentialLeases {
    /// None yet.
    #[must_use]
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { began: clock.now(), since: Instant::now(), names: Mutex::default() }
    }

    fn now(&self) -> OffsetDateTime {
        self.began + self.since.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, RenewalState>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CredentialLeases for LocalCredentialLeases {
    async fn turn(
        &self,
        name: &str,
        rule: &RenewalRule,
        shares: bool,
        rejected: Option<u64>,
    ) -> Result<Claim> {
        Ok(self.lock().entry(name.to_owned()).or_default().turn(self.now(), rule, shares, rejected))
    }

    async fn finish(
        &self,
        name: &str,
        rule: &RenewalRule,
        ticket: u64,
        outcome: RenewalResult,
    ) -> Result<u64> {
        Ok(self.lock().entry(name.to_owned()).or_default().finish(self.now(), rule, ticket, outcome))
    }
}
