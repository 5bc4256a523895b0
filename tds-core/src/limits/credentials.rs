//! A credential that is renewed: by one process at a time, not too often, and for all of them where they can share it.

mod state;

use std::{sync::Arc, time::Duration};

pub use self::state::RenewalState;
use super::shared_state::{self, LocalState, SharedState};
use crate::{clock::Clock, error::Result};

/// How often a credential may be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalRule {
    /// At most so many renewals …
    pub most: u32,
    /// … within this.
    pub within: Duration,
    /// After this a renewal is given up: its holder died, and it arrives no later.
    pub time: Duration,
}

/// The leases of credentials that all processes of a store share. Times are those of the store's clock.
///
/// - At most one renewal of a name is under way. One whose holder died ends after `rule.time`.
/// - No more than `rule.most` renewals of a name come to the source within `rule.within`, those of processes
///   that died or failed included: each counts from its end, and one that has no end from the latest it can have.
/// - A credential that is stored is found by all who share it, until it is due for renewal.
/// - A credential that the source rejected is forgotten, if it is still the one that is stored.
/// - A cooldown keeps everybody from renewing until it ends; a renewal that went well ends it.
/// - What is stored of a credential is opaque: it comes sealed.
#[derive(Clone)]
pub struct CredentialLeases {
    shared: Arc<dyn SharedState>,
}

impl CredentialLeases {
    /// The leases of a store.
    #[must_use]
    pub fn new(shared: Arc<dyn SharedState>) -> Self {
        Self { shared }
    }

    /// The leases of a process that shares them with nobody.
    #[must_use]
    pub fn local(clock: &Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(LocalState::new(clock)))
    }

    /// The stored credential, or the right to renew it. `shares`: this process can open what is stored.
    /// `rejected`: the number of a credential that the source did not accept.
    ///
    /// # Errors
    /// The shared state cannot be asked.
    pub async fn claim(
        &self,
        name: &str,
        rule: &RenewalRule,
        shares: bool,
        rejected: Option<u64>,
    ) -> Result<Claim> {
        let claim = |state: &mut RenewalState, now| state.claim(now, rule, shares, rejected);
        shared_state::change(self.shared.as_ref(), &document_of(name), claim).await
    }

    /// Stores the result of a renewal. A ticket that is not the current one changes nothing but its own count.
    /// Gives the number of the credential that is stored.
    ///
    /// # Errors
    /// The shared state cannot be asked.
    pub async fn finish(
        &self,
        name: &str,
        rule: &RenewalRule,
        ticket: u64,
        result: RenewalResult,
    ) -> Result<u64> {
        let finish = |state: &mut RenewalState, now| state.finish(now, rule, ticket, result.clone());
        shared_state::change(self.shared.as_ref(), &document_of(name), finish).await
    }
}

fn document_of(name: &str) -> String {
    format!("renewal {name}")
}

/// What a process that needs a credential is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Use this one.
    Ready(Credential),
    /// Renew it, and tell the outcome with this ticket.
    Yours(u64),
    /// Another process renews it: look again after this.
    Another(Duration),
    /// Renewing is of no use, or not allowed, for a while.
    Blocked(Cooldown),
    /// It was renewed as often as the rule allows: look again after this.
    TooOften(Duration),
}

/// A stored credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Which one it is: each has another number.
    pub number: u64,
    /// As it was stored.
    pub sealed: String,
    /// When it is due for renewal.
    pub renew_in: Duration,
    /// When it ends.
    pub expires_in: Duration,
}

/// Why nobody may renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// What kind of failure it was, for programs.
    pub kind: String,
    /// What happened, for people.
    pub reason: String,
    /// How long it lasts.
    pub wait: Duration,
}

/// What came of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewalResult {
    /// A new credential, to be stored where it is shared.
    Renewed {
        /// Sealed; `None`: this process keeps it to itself.
        sealed: Option<String>,
        /// When it is due for renewal.
        renew_in: Duration,
        /// When it ends.
        expires_in: Duration,
    },
    /// None.
    Failed(Cooldown),
}
