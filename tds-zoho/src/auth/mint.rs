//! Requests an access token from Zoho's accounts server.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind, Retry},
    hint::Hint,
};

use super::domain::{Domain, follow};
use crate::{
    answer::read_body,
    config::ZohoConfig,
    error::{in_one_line, transport_fault},
    mask::masked,
    setting::Setting,
};

/// The maximum size of a token answer. A normal answer has a few hundred bytes.
const MOST_BYTES: usize = 64 * 1024;
/// The time limit of a mint. It is shorter than that of a call, because many callers may wait for a mint.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// The settings that identify the client and the token.
const CREDENTIALS: &[&str] = &[
    Setting::ClientId.as_str(),
    Setting::ClientSecret.as_str(),
    Setting::RefreshToken.as_str(),
    Setting::DataCenter.as_str(),
];
/// The lifetime of Zoho's tokens: one hour.
const LIFE: Duration = Duration::from_secs(3600);

/// A new token.
pub(super) struct Minted {
    pub(super) value: SecretString,
    pub(super) expires_in: Duration,
    pub(super) domain: Domain,
}

/// The reason why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MintFault {
    /// The credentials are wrong or revoked.
    Refused {
        /// Zoho's `error`.
        error: String,
        /// Zoho's `error_description`.
        words: String,
    },
    /// Too many tokens were requested in a short time.
    TooMany(String),
    /// The server cannot be reached or understood.
    Passing(String),
}

/// A request for a token that brought none.
#[derive(Debug)]
pub(super) struct NoToken {
    /// The reason.
    pub(super) fault: MintFault,
    /// True if Zoho may have made a token, or counted the request as one.
    pub(super) counts: bool,
}

impl NoToken {
    /// Zoho answered, and its answer is no token.
    fn answered(fault: MintFault) -> Self {
        let counts = matches!(fault, MintFault::TooMany(_));
        Self { fault, counts }
    }

    /// No whole answer arrived. Zoho may have made a token, unless the request never left this machine.
    fn unanswered(fault: reqwest::Error) -> Self {
        let counts = !fault.is_connect();
        Self { fault: MintFault::Passing(transport_fault(fault)), counts }
    }
}

impl MintFault {
    /// Returns the time for which no other mint may start after the first of consecutive failures.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Self::Refused { .. } => Duration::from_secs(60),
            Self::TooMany(_) => Duration::from_secs(600),
            Self::Passing(_) => Duration::from_secs(1),
        }
    }

    /// Returns what happened, for operators.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused { error, words } if words.is_empty() => format!("Zoho refuses a token: {error}"),
            Self::Refused { error, words } => format!("Zoho refuses a token: {error} ({words})"),
            Self::TooMany(words) => format!("no new token for now: {words}"),
            Self::Passing(what) => format!("Zoho's token server: {what}"),
        }
    }

    /// Returns what an operator should do.
    pub(crate) fn what_to_do(&self) -> &'static str {
        let Self::Refused { error, .. } = self else { return "wait: servers try again by themselves" };
        match error.as_str() {
            "invalid_code" => {
                "the refresh token was revoked or deleted: make a new one in Zoho's API console and set it"
            }
            "invalid_client" => {
                "check the id of the client: client, token and organization belong to one data center"
            }
            "invalid_client_secret" => "check the secret of the client",
            _ => "check the credentials and the data center",
        }
    }

    /// Returns the settings that an operator should check.
    pub(crate) fn hint(&self) -> Option<Hint> {
        let Self::Refused { error, .. } = self else { return None };
        Some(Hint::Settings(match error.as_str() {
            "invalid_code" => const { &[Setting::RefreshToken.as_str()] },
            "invalid_client" => const { &[Setting::ClientId.as_str(), Setting::DataCenter.as_str()] },
            "invalid_client_secret" => const { &[Setting::ClientSecret.as_str()] },
            _ => CREDENTIALS,
        }))
    }

    /// Returns the error for the engine of a server.
    pub(crate) fn error_after(&self, wait: Duration) -> Error {
        self.error(wait, self.what_to_do())
    }

    /// Returns the error for a command. Most commands have ended before a token can be had again.
    pub(crate) fn error_of_command(&self, wait: Duration) -> Error {
        let minutes = wait.as_secs().div_ceil(60).max(1);
        let when = match minutes {
            1 => "run the command again in a minute".to_owned(),
            _ => format!("run the command again in {minutes} minutes"),
        };
        match self {
            Self::Refused { .. } => self.error_after(wait),
            Self::Passing(_) => self.error(wait, &format!("{when}; a sync under way goes on by itself")),
            Self::TooMany(_) => {
                let error = self.error(
                    wait,
                    &format!(
                        "{when}; a sync under way goes on by itself. Commands and servers with the same key for \
                         tokens share one token"
                    ),
                );
                error.with_hint(Hint::Settings(const { &[Setting::TokenKey.as_str()] }))
            }
        }
    }

    fn error(&self, wait: Duration, what_to_do: &str) -> Error {
        let (kind, retry) = match self {
            Self::Refused { .. } => (ErrorKind::Unauthorized, Retry::AuthPaused { retry_after: wait }),
            Self::TooMany(_) => (ErrorKind::RateLimited, Retry::Throttled { retry_after: wait }),
            // The record is not at fault if the token server cannot be reached, so work that waits for a token
            // spends no attempt.
            Self::Passing(_) => {
                (ErrorKind::Unavailable, Retry::Throttled { retry_after: wait.max(Duration::from_secs(1)) })
            }
        };
        let error = Error::new(kind, retry, format!("{}; {what_to_do}", self.reason()));
        match self.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Requests a token. The secrets are sent in the body: a query would end up in the logs of servers between this
/// process and Zoho.
pub(super) async fn mint(http: &reqwest::Client, config: &ZohoConfig) -> Result<Minted, NoToken> {
    let url = format!("{}/oauth/v2/token", config.accounts_url.trim_end_matches('/'));
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", config.refresh_token.expose_secret()),
        ("client_id", config.client_id.as_str()),
        ("client_secret", config.client_secret.expose_secret()),
    ];
    let request = http.post(url).form(&form).timeout(TIMEOUT.min(config.request_timeout));
    let response = request.send().await.map_err(NoToken::unanswered)?;
    let status = response.status().as_u16();
    let too_long =
        || NoToken::answered(MintFault::Passing("sent an answer that is too long for a token".to_owned()));
    let body = read_body(response, MOST_BYTES).await.map_err(NoToken::unanswered)?.ok_or_else(too_long)?;
    let minted = read(status, &body, config)?;
    tracing::info!(seconds = minted.expires_in.as_secs(), "new access token");
    Ok(minted)
}

/// Reads a token answer. An answer with a token is a success, and every other answer is a failure, whatever the
/// HTTP status: Zoho answers 200 to refusals too.
fn read(status: u16, body: &[u8], config: &ZohoConfig) -> Result<Minted, NoToken> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        return Err(NoToken::answered(match status {
            429 => MintFault::TooMany("HTTP 429".to_owned()),
            _ => MintFault::Passing(format!("answered HTTP {status} without a JSON object")),
        }));
    };
    match text(&answer, "access_token") {
        "" => Err(NoToken::answered(refusal(status, &answer, config))),
        token if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Minted {
            value: SecretString::from(token),
            expires_in: life(&answer),
            domain: follow(text(&answer, "api_domain"), config.api_url.is_some()),
        }),
        _ => {
            let fault = MintFault::Passing("sent a token that no header can carry".to_owned());
            Err(NoToken { fault, counts: true })
        }
    }
}

fn refusal(status: u16, answer: &Map<String, Value>, config: &ZohoConfig) -> MintFault {
    // Zoho's words may repeat a value of the call.
    let secrets = [config.client_secret.expose_secret(), config.refresh_token.expose_secret()];
    let said = |key: &str| in_one_line(&masked(text(answer, key), &secrets));
    let (error, words) = (said("error"), said("error_description"));
    let lower = format!("{error} {words}").to_ascii_lowercase().replace('_', " ");
    if status == 429 || lower.contains("access denied") || lower.contains("too many requests") {
        let both = format!("{error} {words}");
        return MintFault::TooMany(match both.trim() {
            // The API's own form of a refusal.
            "" => {
                let code = answer.get("code").and_then(Value::as_i64);
                let code = code.map(|code| format!(", code {code}")).unwrap_or_default();
                let message = said("message");
                let message = if message.is_empty() { message } else { format!(": {message}") };
                format!("HTTP {status}{code}{message}")
            }
            both => both.to_owned(),
        });
    }
    if error.is_empty() || status >= 500 || lower.contains("server error") || lower.contains("unavailable") {
        return MintFault::Passing(
            format!("answered HTTP {status} without a token {error}").trim_end().to_owned(),
        );
    }
    MintFault::Refused { error, words }
}

/// Reads the lifetime in seconds. If it is absent or more than Zoho's hour, the hour is used.
fn life(answer: &Map<String, Value>) -> Duration {
    let seconds = match answer.get("expires_in") {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.map_or(LIFE, |seconds| Duration::from_secs(seconds.max(1)).min(LIFE))
}

fn text<'a>(answer: &'a Map<String, Value>, key: &str) -> &'a str {
    answer.get(key).and_then(Value::as_str).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests;
