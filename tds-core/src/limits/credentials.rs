//! Leases for the renewal of a credential. Only one process at a time renews the credential, and not too often. If the
//! processes can share the credential, one renewal serves all of them.

mod state;

use std::{sync::Arc, time::Duration};

pub use self::state::RenewalState;
use super::shared_state::{self, LocalState, SharedState};
use crate::{clock::Clock, error::Result};

/// The limit on how often a credential may be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalRule {
    /// The maximum number of renewals within the time `within`.
    pub most: u32,
    /// The time in which at most `most` renewals are allowed.
    pub within: Duration,
    /// The time after which a renewal is given up. Its holder has died then, and its request cannot arrive later.
    pub time: Duration,
}

/// The leases of credentials that all processes of a store share. Times are those of the store's clock.
///
/// - At most one renewal of a name is under way. The renewal of a holder that died ends after `rule.time`.
/// - The source makes no more than `rule.most` credentials of a name within `rule.within`, including those for
///   processes that died. A renewal counts from its beginning, so that it counts even if its holder dies, and for
///   `rule.within` from its end. One whose end was not reported counts from the latest time at which it can have
///   ended. A renewal that certainly made no credential stops counting at its end.
/// - All processes that share a credential find the stored one until it is due for renewal.
/// - A credential that the source rejected is forgotten, if it is still the stored one.
/// - A cooldown keeps all processes from renewing until it ends. It doubles with each consecutive failure of its kind,
///   whatever process has failed. A successful renewal ends the cooldown.
/// - The stored form of a credential is opaque: the caller seals it.
#[derive(Clone)]
pub struct CredentialLeases {
    shared: Arc<dyn SharedState>,
}

impl CredentialLeases {
    /// Creates the leases of a store.
    #[must_use]
    pub fn new(shared: Arc<dyn SharedState>) -> Self {
        Self { shared }
    }

    /// Creates the leases of a process that shares them with no other process.
    #[must_use]
    pub fn local(clock: &Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(LocalState::new(clock)))
    }

    /// Returns the stored credential, or the right to renew it. `shares` is true if this process can open the
    /// stored form. `rejected` is the number of a credential that the source did not accept.
    ///
    /// # Errors
    /// The shared state cannot be read or written.
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

    /// Stores the result of a renewal, and returns the length of the cooldown that a failure began. A ticket that is
    /// not the current one changes nothing but the time until which its own renewal counts. A new credential has the
    /// number of the ticket.
    ///
    /// # Errors
    /// The shared state cannot be read or written.
    pub async fn finish(
        &self,
        name: &str,
        rule: &RenewalRule,
        ticket: u64,
        result: RenewalResult,
    ) -> Result<Option<Duration>> {
        let finish = |state: &mut RenewalState, now| state.finish(now, rule, ticket, result.clone());
        shared_state::change(self.shared.as_ref(), &document_of(name), finish).await
    }
}

fn document_of(name: &str) -> String {
    format!("renewal {name}")
}

/// The instruction for a process that needs a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The process uses this credential.
    Ready(Credential),
    /// The process renews the credential, and reports the result with this ticket.
    Yours(u64),
    /// Another process renews the credential. This process asks again after this time.
    Another(Duration),
    /// A renewal cannot succeed, or is not allowed, during this cooldown.
    Blocked(Cooldown),
    /// The credential was renewed as often as the rule allows. This process asks again after this time.
    TooOften(Duration),
}

/// A stored credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The number that identifies the credential. Each credential has another number.
    pub number: u64,
    /// The credential as it was stored.
    pub sealed: String,
    /// The time until the credential is due for renewal.
    pub renew_in: Duration,
    /// The time until the credential expires.
    pub expires_in: Duration,
}

/// The reason why no process may renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// The kind of the failure, for programs.
    pub kind: String,
    /// What happened, for operators.
    pub reason: String,
    /// The time until the cooldown ends.
    pub wait: Duration,
}

/// The result of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewalResult {
    /// A new credential. It is stored if it is shared.
    Renewed {
        /// The sealed credential. `None` means that this process does not share the credential.
        sealed: Option<String>,
        /// The time until the credential is due for renewal.
        renew_in: Duration,
        /// The time until the credential expires.
        expires_in: Duration,
    },
    /// The renewal failed.
    Failed {
        /// The cooldown after the first of consecutive failures of this kind.
        cooldown: Cooldown,
        /// The longest wait of the cooldown.
        longest: Duration,
        /// True if the source may have made a credential.
        counts: bool,
    },
}
