//! The access token: all callers share one token. The token is minted before the previous one expires, by one
//! process at a time, and never more often than Zoho allows.

mod domain;
mod mint;
mod refreshes;
mod renew;
mod seal;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::FutureExt;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tds_core::{
    error::{Error, Result, Retry},
    limits::credentials::CredentialLeases,
    lock::lock,
};
use tokio::time::Instant;

use crate::{config::ZohoConfig, hex};
use domain::Domain;
use renew::{RULE, renew};
use seal::Seal;
use state::{Flight, Next, State};

pub(crate) use domain::follow;
pub(crate) use mint::MintFault;
pub use refreshes::TokenRefresh;

/// An access token. `Debug` shows only its number.
pub(crate) struct Token {
    /// The number that identifies the token.
    pub(crate) number: u64,
    /// The bearer token.
    pub(crate) value: SecretString,
    refresh_at: Instant,
    expires_at: Instant,
    domain: Domain,
}

impl Token {
    /// Returns the host that Zoho names for this token, if that host is one of Zoho's own and may be used.
    pub(crate) fn api_url(&self) -> Option<&Url> {
        self.domain.api_url.as_ref()
    }

    /// Returns how long the token is still accepted.
    pub(crate) fn expires_in(&self) -> Duration {
        self.expires_at.saturating_duration_since(Instant::now())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Token(number {})", self.number)
    }
}

/// Keeps the token of one organization. Clones share the token.
#[derive(Clone)]
pub(crate) struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    config: ZohoConfig,
    leases: CredentialLeases,
    /// The name of the credentials, which reveals nothing about them.
    name: String,
    seal: Option<Seal>,
    state: Mutex<State>,
}

impl Tokens {
    /// Creates the value without a token.
    ///
    /// # Errors
    /// Kind `Config` if the key cannot be used.
    pub(crate) fn new(http: reqwest::Client, config: ZohoConfig, leases: CredentialLeases) -> Result<Self> {
        let name = name(&config);
        let owner = format!("{} {name}", config.organization_id);
        let seal = config.token_key.as_ref().map(|key| Seal::new(key, &owner)).transpose()?;
        Ok(Self { inner: Arc::new(Inner { http, config, leases, name, seal, state: Mutex::default() }) })
    }

    /// Returns the token to send. Callers that arrive during a refresh share its result, good or bad.
    ///
    /// # Errors
    /// `AuthPaused` when an operator must renew the credentials. `Throttled` when no token may be minted now, or
    /// when the token server cannot be reached or understood.
    pub(crate) async fn token(&self) -> Result<Arc<Token>> {
        let next = self.inner.lock().next(Instant::now(), |rejected| self.start(rejected));
        match next.map_err(|(fault, wait)| self.blocked(&fault, wait))? {
            Next::Use(token) => Ok(token),
            Next::Join(flight) => {
                flight.await.map_err(|fault| self.error_of(&fault, self.wait_after(&fault)))
            }
        }
    }

    /// Returns another token in place of one that Zoho did not accept. That token is minted at most once for all
    /// callers that held the rejected one.
    ///
    /// # Errors
    /// Those of [`Self::token`].
    pub(crate) async fn replace(&self, failed: &Token) -> Result<Arc<Token>> {
        self.inner.lock().forget(failed.number);
        self.token().await
    }

    /// Returns the API host that the current token answer names but that is not used.
    pub(crate) fn ignored_domain(&self) -> Option<String> {
        self.inner.lock().token.as_ref().and_then(|token| token.domain.ignored.clone())
    }

    /// Returns the number of the current token. Each token has another number.
    pub(crate) fn number(&self) -> Option<u64> {
        self.inner.lock().token.as_ref().map(|token| token.number)
    }

    /// Returns true if there is a token, or if nothing keeps one from being minted.
    pub(crate) fn is_ready(&self) -> bool {
        self.inner.lock().is_ready(Instant::now())
    }

    /// Returns true if there is no token, and calls wait for one.
    pub(crate) fn is_missing(&self) -> bool {
        self.inner.lock().is_missing(Instant::now())
    }

    /// Returns how many refreshes this process requested from Zoho, by result.
    pub(crate) fn refreshes(&self) -> [(TokenRefresh, u64); TokenRefresh::ALL.len()] {
        self.inner.lock().requested.each()
    }

    /// Returns the time for which the current token is still accepted; `None` if there is no such token.
    pub(crate) fn expires_in(&self) -> Option<Duration> {
        let expires_in = self.inner.lock().token.as_ref().map(|token| token.expires_in());
        expires_in.filter(|left| !left.is_zero())
    }

    /// Returns the name of the credentials, which reveals nothing about them.
    pub(crate) fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns what keeps tokens from being minted, until a mint succeeds.
    pub(crate) fn trouble(&self) -> Option<(MintFault, Duration)> {
        self.inner.lock().trouble(Instant::now())
    }

    /// Returns the error of a fault after which no other refresh may start for this long.
    pub(crate) fn error_of(&self, fault: &MintFault, wait: Duration) -> Error {
        // Only commands leave tokens to others.
        let is_command = self.inner.config.most_mints < RULE.most;
        if is_command { fault.error_of_command(wait) } else { fault.error_after(wait) }
    }

    /// Returns the error of a refresh that was not attempted because a previous one has just failed. Whatever the fault
    /// was, this costs no attempt.
    fn blocked(&self, fault: &MintFault, wait: Duration) -> Error {
        let error = self.error_of(fault, wait);
        match error.retry() {
            Retry::Transient { .. } => error.with_retry(Retry::Throttled { retry_after: wait }),
            _ => error,
        }
    }

    /// Returns the time for which no refresh may start after this fault, which only the leases know.
    fn wait_after(&self, fault: &MintFault) -> Duration {
        self.trouble().filter(|(last, _)| last == fault).map_or_else(|| fault.pause(), |(_, wait)| wait)
    }

    /// Starts a refresh in its own task: a caller that gives up neither wastes nor repeats the refresh.
    fn start(&self, rejected: Option<u64>) -> Flight {
        let inner = Arc::clone(&self.inner);
        let task = tokio::spawn(async move {
            let renewed = renew(&inner, rejected).await;
            inner.lock().finish(renewed, Instant::now())
        });
        let result = task.map(|joined| {
            joined.unwrap_or_else(|_| Err(MintFault::Passing("the token refresh was interrupted".to_owned())))
        });
        result.boxed().shared()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Returns a name for the credentials. Other credentials have their own count of mints, and what blocks one set of
/// credentials does not block another.
fn name(config: &ZohoConfig) -> String {
    let mut digest = Sha256::new();
    for part in [
        config.accounts_url.as_str(),
        &config.client_id,
        config.client_secret.expose_secret(),
        config.refresh_token.expose_secret(),
    ] {
        digest.update(part.as_bytes());
        digest.update(b"\0");
    }
    format!("zoho {}", hex::encode(&digest.finalize()[..12]))
}
