//! The client: what all calls to one organization share.

mod access;
mod call;
mod failures;
mod headers;
mod inventory;
mod send;
mod watch;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::redirect;
use tds_core::{
    clock::Clock,
    error::{Error, ErrorKind, Result, Retry},
    limits::{
        budget::{BudgetStatus, CallBudget, CallLog, PastUsage, Throttle, Usage},
        credentials::CredentialLeases,
        shared_state::SharedState,
    },
    queue::Lane,
    source::UnknownField,
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    answer::{Answer, Api, Call},
    auth::Tokens,
    config::ZohoConfig,
    error::Fault,
    limits::budget::{Budget, HeaderHints, Quota},
    unknown_fields::UnknownFields,
};
use access::Access;
use failures::Failures;
use inventory::Inventory;
use send::Sender;
use watch::Watch;

pub use watch::{CallWatch, EndedCall, TokenFigures, TokenRefresh};

/// A client for Zoho Books and Zoho Inventory of one organization. Clones share the token and the limits.
#[derive(Clone)]
pub struct ZohoClient {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: ZohoConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tokens: Tokens,
    pub(crate) budget: Budget,
    pub(crate) pulse: Mutex<Pulse>,
    pub(crate) unknown_fields: UnknownFields,
    sender: Sender,
    access: Access,
    failures: Failures,
    inventory: Inventory,
    watch: Watch,
}

/// How the last calls of this process to Zoho ended.
#[derive(Clone, Default)]
pub(crate) struct Pulse {
    /// When Zoho last answered within its protocol.
    pub(crate) last_success_at: Option<OffsetDateTime>,
    /// Why the last call was given up, if it was.
    pub(crate) failure: Option<String>,
}

impl std::fmt::Debug for ZohoClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("ZohoClient").field(&self.inner.config).finish()
    }
}

impl ZohoClient {
    /// Creates a client with limits and tokens of its own, for a process that shares them with no other process.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// Kind `Config` when the configuration is wrong.
    pub fn new(config: ZohoConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let budget = Budget::alone(&config, &clock);
        let leases = CredentialLeases::local(&clock);
        Self::with(config, clock, budget, leases)
    }

    /// Creates a client that shares limits and the count of mints with all processes of the same store, and the
    /// access token with those processes that have the same key.
    ///
    /// # Errors
    /// Kind `Config` when the configuration is wrong.
    pub fn shared(
        config: ZohoConfig,
        clock: Arc<dyn Clock>,
        shared: Arc<dyn SharedState>,
        calls: Arc<dyn CallLog>,
    ) -> Result<Self> {
        let budget = Budget::shared(&config, CallBudget::new(Arc::clone(&shared), calls));
        Self::with(config, clock, budget, CredentialLeases::new(shared))
    }

    fn with(
        config: ZohoConfig,
        clock: Arc<dyn Clock>,
        budget: Budget,
        leases: CredentialLeases,
    ) -> Result<Self> {
        config.validate()?;
        let http = http(&config)?;
        let inner = Inner {
            tokens: Tokens::new(http.clone(), config.clone(), leases)?,
            budget,
            pulse: Mutex::default(),
            unknown_fields: UnknownFields::default(),
            sender: Sender::new(http, &config, Arc::clone(&clock))?,
            access: Access::default(),
            failures: Failures::default(),
            inventory: Inventory::default(),
            watch: Watch::default(),
            clock,
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the id of the organization whose data is read.
    #[must_use]
    pub fn organization_id(&self) -> &str {
        &self.inner.config.organization_id
    }

    /// Returns a name for the credentials that reveals nothing about them. Processes with the same name share their
    /// mints.
    #[must_use]
    pub fn credentials_name(&self) -> &str {
        self.inner.tokens.name()
    }

    /// Returns false while this process has no access token and may not get one. Another process may have its own
    /// token.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.inner.tokens.is_ready()
    }

    /// Returns why this process has no access token and may not get one, and for how long.
    #[must_use]
    pub fn lacks_token(&self) -> Option<(Error, Duration)> {
        let (fault, wait) = self.inner.tokens.trouble().filter(|_| !self.may_ask())?;
        Some((self.inner.tokens.error_of(&fault, wait), wait))
    }

    /// Returns one line about an organization whose calls to Zoho Inventory are refused while Zoho Books answers,
    /// as far as this process knows. The flag is true if Inventory worked before.
    #[must_use]
    pub fn missing_inventory(&self) -> Option<(String, bool)> {
        let inventory = &self.inner.inventory;
        inventory.trouble().map(|line| (line, inventory.was_lost()))
    }

    /// Reads an item from Zoho Inventory, and from Zoho Books if Inventory refuses the organization. Returns one
    /// line about what is missing, if anything is.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn check_inventory(&self) -> Result<Option<String>> {
        let query = vec![("page", "1".to_owned()), ("per_page", "1".to_owned())];
        self.get(call(Api::Inventory, "/items", query, Lane::Operator)).await?;
        Ok(self.missing_inventory().map(|(line, _)| line))
    }

    /// Returns the API host that the current token answer names but that is not used, because it is not one of
    /// Zoho's known hosts.
    #[must_use]
    pub fn ignored_api_domain(&self) -> Option<String> {
        self.inner.tokens.ignored_domain()
    }

    /// Returns the ceiling of calls in any 60 seconds.
    #[must_use]
    pub fn requests_per_minute(&self) -> u32 {
        self.inner.config.requests_per_minute
    }

    /// Returns the clock that intervals are measured with.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// Returns the status of the organization's limits, for all processes that share them.
    ///
    /// # Errors
    /// The store that keeps the limits did not answer.
    pub async fn status(&self) -> Result<BudgetStatus> {
        self.inner.budget.pool.status().await
    }

    /// Returns the last status of the organization's limits that this process received, or the default if it
    /// received none lately. Nothing is sent, neither to Zoho nor to the store.
    #[must_use]
    pub fn last_status(&self) -> BudgetStatus {
        self.inner.budget.pool.last_status().unwrap_or_default()
    }

    /// Returns how far calls are saved, according to the last status that this process received. Nothing is sent,
    /// neither to Zoho nor to the store.
    #[must_use]
    pub fn throttle(&self) -> Throttle {
        self.last_status().throttle()
    }

    /// Returns how long reads for pushed events wait at most to save calls. The result is zero while the day's
    /// calls suffice.
    #[must_use]
    pub fn reads_wait(&self) -> Duration {
        self.inner.config.frugal_wait * self.last_status().patience()
    }

    /// Returns the calls of all processes today (UTC).
    ///
    /// # Errors
    /// The store that keeps the statistics did not answer.
    pub async fn usage(&self) -> Result<Usage> {
        self.inner.budget.pool.usage().await
    }

    /// Returns the calls of all processes on the last complete days (UTC), at most this number of days.
    ///
    /// # Errors
    /// The store that keeps the statistics did not answer.
    pub async fn past_usage(&self, days: u32) -> Result<PastUsage> {
        self.inner.budget.pool.past_usage(days).await
    }

    /// Reads from Zoho how much of the day's quota is left for all programs of the organization. The address is not
    /// documented. If it does not exist, nothing changes.
    ///
    /// # Errors
    /// Those of any call; kind `Protocol` if the answer has another form.
    pub async fn refresh_quota(&self) -> Result<()> {
        if let Some((line, _)) = self.missing_inventory() {
            return Err(Error::new(ErrorKind::Unauthorized, Retry::Permanent, line));
        }
        let answer = self.get(call(Api::Inventory, "/apiusage", Vec::new(), Lane::Incremental)).await?;
        let number = |key: &str| u32::try_from(answer.body.get("data")?.get(key)?.as_u64()?).ok();
        let (Some(limit), Some(remaining)) = (number("maximum_api_count"), number("remaining_api_count"))
        else {
            let retry = Retry::Permanent;
            return Err(Error::new(ErrorKind::Protocol, retry, "Zoho does not say how many calls are left"));
        };
        if limit > 0 && remaining <= limit {
            self.inner.budget.quota(Some(Quota { limit, remaining, reset: None }));
        }
        Ok(())
    }

    /// Returns the fields that records of Zoho showed since the last call, that no column takes, and that Zoho is not
    /// known to write.
    #[must_use]
    pub fn take_unknown_fields(&self) -> Vec<UnknownField> {
        self.inner.unknown_fields.take()
    }

    /// Puts back the fields of [`ZohoClient::take_unknown_fields`] that could not be stored. The next call returns them
    /// again.
    pub fn put_back_unknown_fields(&self, fields: Vec<UnknownField>) {
        self.inner.unknown_fields.put_back(fields);
    }

    /// Gives permits and slots back to the other processes. Callers call this when they will send nothing more.
    pub async fn close(&self) {
        self.inner.budget.pool.close().await;
    }

    /// Sends a call to Zoho. A call that fails with a temporary fault is made up to three times within seconds, each
    /// time with its own permit.
    ///
    /// # Errors
    /// `NotFound` for a record that does not exist. `Invalid` if Zoho refuses the call for this record.
    /// `Throttled` for limits, pauses and outages. `AuthPaused` while the account or its credentials need an
    /// operator. `Transient` if Zoho fails for this record and works for others.
    pub(crate) async fn get(&self, call: Call) -> Result<Answer> {
        send::check(&call)?;
        match inventory::twin(&call) {
            Some(twin) => self.get_of_either(&call, &twin).await,
            None if inventory::is_only_there(&call) => self.get_of_inventory(&call).await,
            None => self.reported(&call, self.ask(&call, true).await).await,
        }
    }

    /// Sends a call that writes. It is repeated only after an answer that says that Zoho did nothing, or if it never
    /// left this machine.
    ///
    /// # Errors
    /// `Refused`: Zoho did nothing, with an error as that of [`ZohoClient::get`]. `InDoubt`: no answer arrived, or one
    /// that leaves open what Zoho did.
    pub(crate) async fn write(&self, call: Call) -> std::result::Result<Answer, Unwritten> {
        send::check(&call).map_err(Unwritten::Refused)?;
        self.needs_inventory(&call).map_err(Unwritten::Refused)?;
        let outcome = self.ask(&call, true).await;
        let in_doubt = matches!(outcome, Err(Failure::Doubtful(_) | Failure::Fell { in_doubt: true, .. }));
        let unwritten = if in_doubt { Unwritten::InDoubt } else { Unwritten::Refused };
        self.reported(&call, outcome).await.map_err(unwritten)
    }

    /// Returns true if only probes are sent to the call's place, as far as this process knows.
    pub(crate) fn is_shut(&self, call: &Call) -> bool {
        let twin = inventory::twin(call).filter(|_| self.inner.inventory.is_missing());
        self.inner.budget.pool.is_shut(&twin.as_ref().unwrap_or(call).place())
    }

    /// Returns the answer of Zoho Books about the organizations that the token sees, and the time for which the
    /// current token is still accepted.
    pub(crate) async fn organizations(&self) -> Result<(Answer, Duration)> {
        let answer = self.get(call(Api::Books, send::ORGANIZATIONS, Vec::new(), Lane::Operator)).await?;
        Ok((answer, self.inner.tokens.token().await?.expires_in()))
    }
}

/// The reason why a call brought no answer.
enum Failure {
    /// The error needs no further report.
    Known(Error),
    /// The call writes, and it is not known whether it took effect. The error needs no further report.
    Doubtful(Error),
    /// The call was given up for a reason that its record does not cause. The fault has not been reported yet.
    Fell {
        fault: Fault,
        issued_at: Instant,
        hints: HeaderHints,
        /// The call writes, and it is not known whether it took effect.
        in_doubt: bool,
    },
}

/// Why a call that writes brought no answer.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// Zoho did nothing.
    Refused(Error),
    /// It is not known whether the call took effect.
    InDoubt(Error),
}

/// Zoho's refusal of a call on which nothing else depends.
#[derive(Debug)]
pub(crate) struct NotDone {
    /// Zoho's words, and what they most likely mean.
    pub(crate) reason: String,
    /// What Zoho refuses.
    pub(crate) why: Why,
}

/// What Zoho refuses with a call on which nothing else depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// What the call concerns does not exist.
    Gone,
    /// The organization, in this product.
    Organization,
    /// This call, or what the token may do.
    Other,
}

impl Unwritten {
    /// Returns the error.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) | Self::InDoubt(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

/// Returns a call that concerns no entity type.
fn call(api: Api, path: &str, query: Vec<(&'static str, String)>, lane: Lane) -> Call {
    Call { api, scope: api.settings(), path: path.to_owned(), query, lane, entity: None, write: None }
}

/// Creates the HTTP client of all calls. Redirects are not followed, because a redirect could carry the bearer
/// token to another host. The client speaks HTTP/1.1 also in programs in which another crate enables HTTP/2: the calls
/// in flight are then the connections, and one broken connection ends one call.
pub(crate) fn http(config: &ZohoConfig) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(config.connect_timeout)
        .timeout(config.request_timeout)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .gzip(true)
        .user_agent(concat!("tds/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|fault| Error::config("the HTTP client could not be created").with_source(fault))
}

#[cfg(test)]
mod tests;
