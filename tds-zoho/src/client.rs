//! The client: token, limits, sending, judging and repeating of one call.

mod access;
mod headers;
mod send;

use std::{sync::Arc, time::Duration};

use reqwest::redirect;
use tds_core::{Clock, Error, ErrorKind, Lane, Result, Retry};
use tokio::time::{Instant, sleep};

use crate::{
    answer::{Answer, Api, Call},
    auth::{Token, Tokens},
    config::ZohoConfig,
    error::{Fault, throttled},
    health::Pulse,
    limiter::{Budget, Hints, Limiter},
    retry::{LONGEST_WAIT, Tries},
};
use access::Access;
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
}

impl std::fmt::Debug for ZohoClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("ZohoClient").field(&self.inner.config).finish()
    }
}

impl ZohoClient {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// Kind `Config` when the configuration is wrong.
    pub fn new(config: ZohoConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        let http = http(&config)?;
        let inner = Inner {
            tokens: Tokens::new(http.clone(), config.clone()),
            limiter: Limiter::new(&config, Arc::clone(&clock)),
            pulse: Pulse::default(),
            sender: Sender::new(http, &config, Arc::clone(&clock))?,
            access: Access::default(),
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

    /// The clock that intervals are measured on.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// What is left to spend this minute and today.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.inner.limiter.budget()
    }

    /// Asks Zoho. Faults that pass are tried up to three times within seconds, every try with its own permit.
    ///
    /// # Errors
    /// `NotFound` for a record that does not exist; `Throttled` for limits and pauses; `AuthPaused` while the
    /// credentials need a person; `Unauthorized` and permanent for a missing scope; `Transient` for the rest
    /// that may pass; `Invalid` for what Zoho refuses.
    pub(crate) async fn get(&self, call: Call) -> Result<Answer> {
        send::check(&call)?;
        let inner = &*self.inner;
        let mut tries = Tries::new();
        let mut replaced = false;
        loop {
            // Without a token there is no reason to wait for a permit; waiting may take longer than a token lives.
            inner.tokens.token().await?;
            let permit = inner.limiter.acquire(call.lane).await?;
            let token = inner.tokens.token().await?;
            let issued_at = permit.issued_at();
            let Sent { outcome, hints } = inner.sender.send(permit, &token, &call).await;
            let fault = match outcome {
                Ok(answer) => {
                    inner.succeeded(&call, issued_at, &hints);
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            tracing::debug!(lane = ?call.lane, path = call.path, ?fault, "Zoho call failed");
            match fault {
                Fault::Limit(limit, words) => {
                    let pause = inner.limiter.refused(limit, issued_at, &hints);
                    if pause > LONGEST_WAIT || tries.next_wait(None).is_none() {
                        return Err(throttled(limit, &words, pause));
                    }
                }
                Fault::Token(words) => {
                    if replaced || inner.access.is_denied(&call) {
                        return Err(inner.gave_up(inner.access.denied(&call, &words)));
                    }
                    replaced = true;
                    inner.tokens.replace(&token).await?;
                }
                passing if passing.is_passing() => {
                    let error = passing.into_error(hints.retry_after);
                    match tries.next_wait(hints.retry_after) {
                        Some(wait) => sleep(wait).await,
                        None => return Err(inner.gave_up(error)),
                    }
                }
                refusal => {
                    if refusal.is_zohos_judgement() {
                        inner.succeeded(&call, issued_at, &hints);
                    }
                    return Err(refusal.into_error(None));
                }
            }
        }
    }

    /// The token that is in use now, and what Zoho's first product says of the organizations it sees.
    pub(crate) async fn organizations(&self) -> Result<(Answer, Duration)> {
        let path = send::ORGANIZATIONS.to_owned();
        let answer =
            self.get(Call { api: Api::Books, path, query: Vec::new(), lane: Lane::Operator }).await?;
        let token: Arc<Token> = self.inner.tokens.token().await?;
        Ok((answer, token.expires_in()))
    }
}

impl Inner {
    /// Zoho itself answered, within its protocol and with this token.
    fn succeeded(&self, call: &Call, issued_at: Instant, hints: &Hints) {
        self.limiter.went_well(issued_at, hints);
        self.access.worked(call);
        self.pulse.succeeded(self.clock.now());
    }

    fn gave_up(&self, error: Error) -> Error {
        self.pulse.failed(&error.to_string());
        error
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
