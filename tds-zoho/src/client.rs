//! The client: token, limits, sending, judging and repeating of one call.

mod access;
mod failures;
mod headers;
mod inventory;
mod send;

use std::{sync::Arc, time::Duration};

use reqwest::redirect;
use tds_core::{
    clock::Clock,
    error::{Error, ErrorKind, Result, Retry},
    limits::{
        budget::{BudgetStatus, CallBudget, CallFault, CallLog, OutageCause, Throttle, Usage},
        credentials::CredentialLeases,
        shared_state::SharedState,
    },
    queue::Lane,
};
use tokio::time::{Instant, sleep};

use crate::{
    answer::{Answer, Api, Call},
    auth::{Token, Tokens},
    config::ZohoConfig,
    error::{About, Fault, throttled},
    health::Pulse,
    limiter::{HeaderHints, Limiter, Quota, waits},
    retry::{LONGEST_WAIT, Tries},
};
use access::Access;
use failures::{Failures, identity};
use inventory::Inventory;
use send::{Sender, Sent};

pub(crate) use send::transport_fault;

/// Zoho Books and Zoho Inventory of one organization. Clones share the token and the limits.
#[derive(Clone)]
pub struct ZohoClient {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: ZohoConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tokens: Tokens,
    pub(crate) limiter: Limiter,
    pub(crate) pulse: Pulse,
    sender: Sender,
    access: Access,
    failures: Failures,
    inventory: Inventory,
}

impl std::fmt::Debug for ZohoClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("ZohoClient").field(&self.inner.config).finish()
    }
}

impl ZohoClient {
    /// A client whose limits and tokens are its own: for a process that is alone. Nothing is sent yet.
    ///
    /// # Errors
    /// Kind `Config` when the configuration is wrong.
    pub fn new(config: ZohoConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let limiter = Limiter::alone(&config, &clock);
        let leases = CredentialLeases::local(&clock);
        Self::with(config, clock, limiter, leases)
    }

    /// A client that shares limits and mints with all processes of the same store, and the access token with those
    /// that have the same key.
    ///
    /// # Errors
    /// Kind `Config` when the configuration is wrong.
    pub fn shared(
        config: ZohoConfig,
        clock: Arc<dyn Clock>,
        shared: Arc<dyn SharedState>,
        calls: Arc<dyn CallLog>,
    ) -> Result<Self> {
        let limiter = Limiter::shared(&config, CallBudget::new(Arc::clone(&shared), calls));
        Self::with(config, clock, limiter, CredentialLeases::new(shared))
    }

    fn with(
        config: ZohoConfig,
        clock: Arc<dyn Clock>,
        limiter: Limiter,
        leases: CredentialLeases,
    ) -> Result<Self> {
        config.validate()?;
        let http = http(&config)?;
        let inner = Inner {
            tokens: Tokens::new(http.clone(), config.clone(), leases)?,
            limiter,
            pulse: Pulse::default(),
            sender: Sender::new(http, &config, Arc::clone(&clock))?,
            access: Access::default(),
            failures: Failures::default(),
            inventory: Inventory::default(),
            clock,
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The organization whose data is read.
    #[must_use]
    pub fn organization_id(&self) -> &str {
        &self.inner.config.organization_id
    }

    /// A name for the credentials that tells nothing of them: processes with the same one share their mints.
    #[must_use]
    pub fn credentials_name(&self) -> &str {
        self.inner.tokens.name()
    }

    /// False while this process has no access token and may not get one. Another process may have its own.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.inner.tokens.is_ready()
    }

    /// Why this process has no access token and may not get one, and for how long.
    #[must_use]
    pub fn lacks_token(&self) -> Option<(String, Duration)> {
        let (fault, wait) = self.inner.tokens.trouble().filter(|_| !self.may_ask())?;
        Some((format!("{}; {}", fault.reason(), fault.what_to_do()), wait))
    }

    /// One line about an organization whose calls to Zoho Inventory are refused while Zoho Books answers, as this process
    /// heard; and whether Inventory worked before.
    #[must_use]
    pub fn missing_inventory(&self) -> Option<(String, bool)> {
        let inventory = &self.inner.inventory;
        inventory.trouble().map(|line| (line, inventory.was_lost()))
    }

    /// Asks Zoho Inventory for an item, and Zoho Books where Inventory refuses. What is missing, in one line.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn check_inventory(&self) -> Result<Option<String>> {
        let query = vec![("page", "1".to_owned()), ("per_page", "1".to_owned())];
        let path = "/items".to_owned();
        self.get(Call {
            api: Api::Inventory,
            scope: Api::Inventory.settings(),
            path,
            query,
            lane: Lane::Operator,
            entity: None,
        })
        .await?;
        Ok(self.missing_inventory().map(|(line, _)| line))
    }

    /// The API host that the present token answer names and that is not followed: it is not one of Zoho's known ones.
    #[must_use]
    pub fn ignored_api_domain(&self) -> Option<String> {
        self.inner.tokens.ignored_domain()
    }

    /// Ceiling of calls in any 60 seconds.
    #[must_use]
    pub fn requests_per_minute(&self) -> u32 {
        self.inner.config.requests_per_minute
    }

    /// The clock that intervals are measured on.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// How the organization's limits stand, for all processes that share them.
    ///
    /// # Errors
    /// The store that keeps them did not answer.
    pub async fn status(&self) -> Result<BudgetStatus> {
        self.inner.limiter.status().await
    }

    /// How far calls are saved, as this process last heard; nothing is sent and nobody asked.
    #[must_use]
    pub fn throttle(&self) -> Throttle {
        self.inner.limiter.last_status().throttle()
    }

    /// How long reads for pushed events wait at most, so that calls are saved; zero while the day's calls suffice.
    #[must_use]
    pub fn reads_wait(&self) -> Duration {
        self.inner.config.frugal_wait * self.inner.limiter.last_status().patience()
    }

    /// The calls of today (UTC), of all processes.
    ///
    /// # Errors
    /// The store that keeps them did not answer.
    pub async fn usage(&self) -> Result<Usage> {
        self.inner.limiter.usage().await
    }

    /// Asks Zoho how much of the day's quota is left for all programs of the organization. The address is not
    /// documented: where it does not exist, nothing changes.
    ///
    /// # Errors
    /// Those of any call; kind `Protocol` where the answer has another form.
    pub async fn refresh_quota(&self) -> Result<()> {
        if let Some((line, _)) = self.missing_inventory() {
            return Err(Error::new(ErrorKind::Unauthorized, Retry::Permanent, line));
        }
        let path = "/apiusage".to_owned();
        let call = Call {
            api: Api::Inventory,
            scope: Api::Inventory.settings(),
            path,
            query: Vec::new(),
            lane: Lane::Incremental,
            entity: None,
        };
        let answer = self.get(call).await?;
        let number = |key: &str| {
            let data = answer.body.get("data")?.as_object()?;
            data.get(key)?.as_u64().and_then(|number| u32::try_from(number).ok())
        };
        let (Some(limit), Some(remaining)) = (number("maximum_api_count"), number("remaining_api_count"))
        else {
            let retry = Retry::Permanent;
            return Err(Error::new(ErrorKind::Protocol, retry, "Zoho does not tell how many calls are left"));
        };
        if limit > 0 && remaining <= limit {
            self.inner.limiter.quota(Quota { limit, remaining, reset: None });
        }
        Ok(())
    }

    /// Gives permits and places back to the other processes. Call it when nothing more will be asked.
    pub async fn close(&self) {
        self.inner.limiter.close().await;
    }

    /// Asks Zoho. Faults that pass are tried up to three times within seconds, every try with its own permit.
    ///
    /// # Errors
    /// `NotFound` for a record that does not exist, `Invalid` for what Zoho refuses of it; `Throttled` for limits,
    /// pauses and outages; `AuthPaused` while the account or its credentials need a person; `Transient` where Zoho
    /// fails for this record and works for others.
    pub(crate) async fn get(&self, call: Call) -> Result<Answer> {
        send::check(&call)?;
        match inventory::twin(&call) {
            Some(twin) => self.get_of_either(&call, &twin).await,
            None => self.told(&call, self.ask(&call, true).await).await,
        }
    }

    /// One call with its repeats. `renew`: a refused token is replaced once by a new one.
    async fn ask(&self, call: &Call, renew: bool) -> std::result::Result<Answer, Failure> {
        let inner = &*self.inner;
        let mut tries = Tries::new();
        let (mut replaced, mut is_fresh, place) = (!renew, false, call.place());
        // A probe whose token was refused is still the probe when it asks with another one.
        let mut probes = false;
        loop {
            let is_probe = probes || inner.limiter.pass(&place).await?;
            // Without a token there is no reason to wait for a permit; waiting may take longer than a token lives.
            inner.tokens.token().await?;
            let permit = inner.limiter.acquire(call.lane).await?;
            // Who waited in line when the place went down does not find out by a call of his own.
            if !is_probe && inner.limiter.is_shut(&place) {
                continue;
            }
            let token = inner.tokens.token().await?;
            let issued_at = permit.issued_at();
            // The token took its time: the permit is given back, and another one is asked for.
            let Some(permit) = permit.start() else { continue };
            let Sent { outcome, hints } = inner.sender.send(permit, &token, call).await;
            inner.limiter.count(call, outcome.as_ref().map_or_else(Fault::name, |_| "ok"));
            let fault = match outcome {
                Ok(answer) => {
                    inner.succeeded(call, issued_at, &hints).await;
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            tracing::debug!(
                lane = call.lane.as_str(),
                path = call.path,
                fault = fault.name(),
                "Zoho call failed"
            );
            if is_fresh && matches!(fault, Fault::Token(_)) {
                inner.access.is_fruitless(token.number());
            }
            match (fault.about(), &fault) {
                (About::Limit, Fault::Limit(limit, words)) => {
                    let hints =
                        HeaderHints { retry_after: hints.retry_after.or(words.named_wait()), ..hints };
                    let pause = inner.limiter.refused(*limit, call.lane, issued_at, &hints).await;
                    if pause > LONGEST_WAIT || tries.next_wait(None).is_none() {
                        return Err(throttled(*limit, words, pause).into());
                    }
                }
                (_, Fault::Token(_)) if !replaced && !inner.access.is_denied(call) => {
                    (replaced, is_fresh, probes) = (true, true, is_probe);
                    inner.tokens.replace(&token).await?;
                }
                (About::Way, passing) => {
                    let wait =
                        tries.next_wait(hints.retry_after).filter(|_| !is_probe && passing.is_passing());
                    match wait {
                        Some(wait) => sleep(wait).await,
                        None => return Err(Failure::Fell { fault, issued_at, hints }),
                    }
                }
                (About::Account { .. }, _) => return Err(Failure::Fell { fault, issued_at, hints }),
                (About::Record | About::Limit, fault) => {
                    inner.succeeded(call, issued_at, &hints).await;
                    return Err(Error::new(fault.kind(), Retry::Permanent, fault.to_string()).into());
                }
            }
        }
    }

    /// Tells everybody of a call that was given up because of what is no matter of its record.
    async fn told(&self, call: &Call, outcome: std::result::Result<Answer, Failure>) -> Result<Answer> {
        match outcome {
            Ok(answer) => Ok(answer),
            Err(Failure::Known(error)) => Err(error),
            Err(Failure::Fell { fault, issued_at, hints }) => {
                // An account that is refused is refused for the witness as well.
                if fault.about() == About::Way
                    && let Some(witness) = self.inner.failures.witness(call)
                    && let Err(Failure::Fell { fault, issued_at, hints }) = self.ask(&witness, false).await
                {
                    self.inner.fell(&witness, &fault, issued_at, &hints).await;
                }
                Err(self.inner.fell(call, &fault, issued_at, &hints).await)
            }
        }
    }

    /// True where nothing but probes is sent to the call's place, as far as this process heard.
    pub(crate) fn is_shut(&self, call: &Call) -> bool {
        let way = inventory::twin(call).filter(|_| self.inner.inventory.is_missing());
        self.inner.limiter.is_shut(&way.as_ref().unwrap_or(call).place())
    }

    /// The token that is in use now, and what Zoho's first product says of the organizations it sees.
    pub(crate) async fn organizations(&self) -> Result<(Answer, Duration)> {
        let path = send::ORGANIZATIONS.to_owned();
        let answer = self
            .get(Call {
                api: Api::Books,
                scope: Api::Books.settings(),
                path,
                query: Vec::new(),
                lane: Lane::Operator,
                entity: None,
            })
            .await?;
        let token: Arc<Token> = self.inner.tokens.token().await?;
        Ok((answer, token.expires_in()))
    }
}

/// Why a call brought nothing.
enum Failure {
    /// Whoever is concerned knows it.
    Known(Error),
    /// It was given up because of what is no matter of its record, and nobody was told so far.
    Fell { fault: Fault, issued_at: Instant, hints: HeaderHints },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl Inner {
    /// Zoho itself answered, within its protocol and with this token.
    async fn succeeded(&self, call: &Call, issued_at: Instant, hints: &HeaderHints) {
        self.limiter.went_well(&call.place(), issued_at, hints).await;
        self.access.worked(call);
        self.failures.worked(call);
        self.pulse.succeeded(self.clock.now());
    }

    /// A call was given up because of what is no matter of its record: everybody is told, and the work waits. An
    /// attempt is spent only where Zoho fails for this record and works for others.
    async fn fell(&self, call: &Call, fault: &Fault, issued_at: Instant, hints: &HeaderHints) -> Error {
        let (cause, everywhere) = match fault.about() {
            About::Account { everywhere } => (OutageCause::Account, everywhere),
            _ => (OutageCause::Way, false),
        };
        let reason = match fault {
            Fault::Token(words) if words.are_zohos() => self.access.denied(call, words),
            fault => fault.to_string(),
        };
        let blame = self.failures.failed(call);
        let (first, retry_after) = (self.config.outage_probe, hints.retry_after);
        let told = CallFault {
            place: call.place(),
            cause,
            everywhere,
            call: identity(call),
            issued: issued_at.elapsed(),
            retry_after,
            first_probe: first,
            reason: reason.clone(),
        };
        let shut = self.limiter.faulted(told).await;
        if !matches!(fault, Fault::WrongAddress(_)) {
            self.pulse.failed(&reason);
        }
        let Some(shut) = shut else {
            if cause == OutageCause::Way && blame.on_the_record {
                return Error::new(fault.kind(), Retry::Transient { retry_after }, reason);
            }
            let wait = match cause {
                OutageCause::Way => blame.wait(first).max(retry_after.unwrap_or_default().min(first * 15)),
                OutageCause::Account => first.saturating_mul(blame.times.min(15)),
            };
            return waits(cause, fault.kind(), wait, reason);
        };
        if shut.cause == OutageCause::Account {
            tracing::warn!(place = shut.place, wait = ?shut.wait, reason, "Zoho refuses the account: nothing is sent there but a probe now and then");
        } else {
            tracing::warn!(place = shut.place, wait = ?shut.wait, reason, "Zoho cannot be read: nothing is sent there but a probe now and then");
        }
        waits(cause, fault.kind(), shut.wait, reason)
    }
}

/// The HTTP client of all calls. Redirects would carry the bearer to another host.
fn http(config: &ZohoConfig) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(config.connect_timeout)
        .timeout(config.request_timeout)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .gzip(true)
        .user_agent(concat!("tds/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|fault| {
            Error::new(ErrorKind::Config, Retry::Permanent, "no HTTP client could be made").with_source(fault)
        })
}

#[cfg(test)]
mod tests;
