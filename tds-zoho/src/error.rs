//! What an answer of the API means: the one place where HTTP status, Zoho's code and the form of the body are judged.

mod body;

use std::{fmt, time::Duration};

use serde_json::{Map, Value};
use tds_core::{Error, ErrorKind, Retry};

pub(crate) use body::in_one_line;
use body::{Envelope, open};
/// Which of Zoho's limits was met: calls a minute, or a 429 that says no more (codes 43 and 44, unknown codes, no
/// JSON); calls a day (code 45); calls in flight (code 1070).
pub(crate) use tds_core::CallLimit as Limit;

/// A failure in Zoho's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    status: u16,
    code: Option<i64>,
    message: String,
}

impl Words {
    /// True where the answer had Zoho's form: not the page of a gateway between.
    pub(crate) fn are_zohos(&self) -> bool {
        self.code.is_some()
    }
}

impl fmt::Display for Words {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Zoho answered HTTP {}", self.status)?;
        if let Some(code) = self.code {
            write!(formatter, ", code {code}")?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.message) }
    }
}

/// Why a call brought no data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The record does not exist.
    NotFound(Words),
    /// The token was not accepted, or lacks the scope: Zoho says the same of both.
    Token(Words),
    /// Too many calls.
    Limit(Limit, Words),
    /// Zoho has an internal fault.
    Server(Words),
    /// The answer breaks the protocol: no JSON, cut, without `code`, a redirect.
    Protocol(String),
    /// Zoho cannot be reached, or the answer did not come to its end.
    Unreachable(String),
    /// Zoho refuses this very call.
    Refused(Words),
    /// Zoho does not know the address: a wrong base URL, not a missing record.
    WrongAddress(Words),
}

impl Fault {
    /// The name of its kind in the statistics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Token(_) => "token",
            Self::Limit(Limit::Minute, _) => "limit_minute",
            Self::Limit(Limit::Day, _) => "limit_day",
            Self::Limit(Limit::Concurrency, _) => "limit_concurrency",
            Self::Server(_) => "server",
            Self::Protocol(_) => "protocol",
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "refused",
            Self::WrongAddress(_) => "wrong_address",
        }
    }

    /// True where the same call may work within seconds.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Server(_) | Self::Protocol(_) | Self::Unreachable(_))
    }

    /// True where Zoho itself judged the call, so that it is up and let the token in.
    pub(crate) fn is_zohos_judgement(&self) -> bool {
        matches!(self, Self::NotFound(words) | Self::Refused(words) if words.are_zohos())
    }

    /// The error for the engine. `retry_after` is Zoho's own wish. Limits and tokens have more to say than an
    /// answer shows; the client makes their errors.
    pub(crate) fn into_error(self, retry_after: Option<Duration>) -> Error {
        let transient = Retry::Transient { retry_after };
        match self {
            Self::NotFound(words) => Error::not_found(words.to_string()),
            Self::Refused(words) => Error::invalid(words.to_string()),
            Self::WrongAddress(words) => {
                let message = format!("{words}; check ZOHO_API_URL and ZOHO_DATA_CENTER");
                Error::new(ErrorKind::Config, Retry::Permanent, message)
            }
            Self::Token(words) => Error::new(ErrorKind::Unauthorized, transient, words.to_string()),
            Self::Server(words) => Error::new(ErrorKind::Unavailable, transient, words.to_string()),
            Self::Protocol(what) => Error::new(ErrorKind::Protocol, transient, what),
            Self::Unreachable(what) => Error::new(ErrorKind::Unavailable, transient, what),
            Self::Limit(limit, words) => {
                throttled(limit, &words, retry_after.unwrap_or(Duration::from_secs(60)))
            }
        }
    }
}

/// The error of a limit, after the client decided how long to pause.
pub(crate) fn throttled(limit: Limit, words: &impl fmt::Display, retry_after: Duration) -> Error {
    let kind = match limit {
        Limit::Day => ErrorKind::QuotaExhausted,
        Limit::Minute | Limit::Concurrency => ErrorKind::RateLimited,
    };
    let message = format!("{words} (next try in {} s)", retry_after.as_secs().max(1));
    Error::new(kind, Retry::Throttled { retry_after }, message)
}

/// Judges an answer: the JSON object of a success, or why it is none.
pub(crate) fn judge(status: u16, body: &[u8]) -> Result<Map<String, Value>, Fault> {
    let opened = open(body);
    let words = |envelope: Option<&Envelope>| Words {
        status,
        code: envelope.map(|envelope| envelope.code),
        message: envelope.map_or_else(String::new, Envelope::message),
    };
    let envelope = opened.as_ref().ok();
    match (status, envelope.map(|envelope| envelope.code)) {
        (200..=299, Some(0)) => opened.map(|envelope| envelope.body).map_err(Fault::Protocol),
        (200..=299, None) => Err(Fault::Protocol(match &opened {
            Err(form) => format!("Zoho answered HTTP {status} with {form}"),
            Ok(_) => format!("Zoho answered HTTP {status} without a code"),
        })),
        (429, Some(45)) | (_, Some(45)) => Err(Fault::Limit(Limit::Day, words(envelope))),
        (429, Some(1070)) | (_, Some(1070)) => Err(Fault::Limit(Limit::Concurrency, words(envelope))),
        (429, _) | (_, Some(43 | 44)) => Err(Fault::Limit(Limit::Minute, words(envelope))),
        (500..=599 | 408, _) | (_, Some(1000)) => Err(Fault::Server(words(envelope))),
        (401, _) | (_, Some(14 | 57)) => Err(Fault::Token(words(envelope))),
        (404, Some(5)) => Err(Fault::WrongAddress(words(envelope))),
        (404, Some(_)) | (_, Some(1002)) => Err(Fault::NotFound(words(envelope))),
        // A 404 that is not Zoho's own says nothing about the record: believing it would delete everything.
        (404, None) => Err(Fault::Protocol("something other than Zoho Books answered HTTP 404".to_owned())),
        (100..=199 | 300..=399, _) => {
            Err(Fault::Protocol(format!("HTTP {status}; redirects are not followed")))
        }
        (_, _) => Err(Fault::Refused(words(envelope))),
    }
}

#[cfg(test)]
mod tests;
