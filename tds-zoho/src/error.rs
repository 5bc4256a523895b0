//! What an answer of the API means: the one place where HTTP status, Zoho's code and the form of the body are judged.

mod body;

use std::{fmt, time::Duration};

use serde_json::{Map, Value};
use tds_core::error::{Error, ErrorKind, Retry};

pub(crate) use body::in_one_line;
use body::open;
/// Which of Zoho's limits was met: calls a minute, or a 429 that says no more (codes 43 and 44, unknown codes, no
/// JSON); calls a day (code 45); calls in flight (code 1070).
pub(crate) use tds_core::limits::budget::CallLimit as Limit;

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
    /// The organization, its plan or its data centre is refused: no call of the product works.
    Organization(Words),
    /// The account may not make this kind of call.
    Forbidden(Words),
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
            Self::Organization(_) => "organization",
            Self::Forbidden(_) => "forbidden",
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

    /// What it is about.
    pub(crate) fn about(&self) -> About {
        match self {
            Self::NotFound(_) | Self::Refused(_) => About::Record,
            Self::Limit(..) => About::Limit,
            Self::Token(words) if !words.are_zohos() => About::Way,
            Self::Token(_) | Self::Forbidden(_) | Self::WrongAddress(_) => {
                About::Account { everywhere: false }
            }
            Self::Organization(_) => About::Account { everywhere: true },
            Self::Server(_) | Self::Protocol(_) | Self::Unreachable(_) => About::Way,
        }
    }

    /// Zoho's words, where it refuses the organization or the account rather than this call.
    pub(crate) fn refusal_of_the_account(&self) -> Option<&Words> {
        match self {
            Self::Token(words) | Self::Organization(words) if words.are_zohos() => Some(words),
            _ => None,
        }
    }

    /// The kind of its error.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Refused(_) => ErrorKind::Invalid,
            Self::Limit(Limit::Day, _) => ErrorKind::QuotaExhausted,
            Self::Limit(..) => ErrorKind::RateLimited,
            Self::WrongAddress(_) => ErrorKind::Config,
            Self::Token(_) | Self::Organization(_) | Self::Forbidden(_) => ErrorKind::Unauthorized,
            Self::Protocol(_) => ErrorKind::Protocol,
            Self::Server(_) | Self::Unreachable(_) => ErrorKind::Unavailable,
        }
    }
}

/// What an answer is about: all that decides who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The record that was asked for, and no other.
    Record,
    /// The account or the organization. `everywhere`: the whole product, by Zoho's own words.
    Account { everywhere: bool },
    /// A limit of calls.
    Limit,
    /// The way to Zoho, or Zoho itself.
    Way,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(what) | Self::Unreachable(what) => formatter.write_str(what),
            Self::NotFound(words)
            | Self::Token(words)
            | Self::Forbidden(words)
            | Self::Limit(_, words)
            | Self::Server(words)
            | Self::Refused(words) => write!(formatter, "{words}"),
            Self::Organization(words) => write!(
                formatter,
                "{words}; check ZOHO_ORGANIZATION_ID and ZOHO_DATA_CENTER, and that the user who made the refresh \
                 token still belongs to the organization and its plan has this product"
            ),
            Self::WrongAddress(words) => {
                write!(formatter, "{words}; check ZOHO_API_URL and ZOHO_DATA_CENTER")
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

/// Judges an answer: the JSON object of a success, or why it is none. Nothing else classifies answers.
pub(crate) fn judge(status: u16, body: &[u8]) -> Result<Map<String, Value>, Fault> {
    let opened = open(body);
    let words = match &opened {
        Ok(envelope) => Words { status, code: Some(envelope.code), message: envelope.message() },
        Err(closed) => Words { status, code: None, message: closed.message.clone() },
    };
    let said = words.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
    let fault = match (status, words.code) {
        // The form of many gateways: Zoho's own codes are no HTTP statuses.
        (400 | 404, Some(code)) if code == i64::from(status) => Fault::Protocol(format!(
            "something other than Zoho Books answered HTTP {status}: its code is {code}, which Zoho does not use"
        )),
        (200..=299, Some(0)) => {
            return opened.map(|envelope| envelope.body).map_err(|closed| Fault::Protocol(closed.form));
        }
        (_, Some(45)) => Fault::Limit(Limit::Day, words),
        (_, Some(1070)) => Fault::Limit(Limit::Concurrency, words),
        (429, _) | (_, Some(43 | 44)) => Fault::Limit(Limit::Minute, words),
        (500..=599 | 408, _) | (_, Some(1000)) => Fault::Server(words),
        (401, _) | (_, Some(14 | 57)) => Fault::Token(words),
        (_, Some(code)) if ORGANIZATION_CODES.contains(&code) => Fault::Organization(words),
        (_, Some(1002)) => Fault::NotFound(words),
        (_, code) if !code.is_some_and(is_validation) && says(&LIMIT_WORDS) => {
            Fault::Limit(Limit::Minute, words)
        }
        (_, _) if says(&ORGANIZATION_WORDS) => Fault::Organization(words),
        (403, Some(code)) if code != 0 => Fault::Forbidden(words),
        (_, Some(5)) => Fault::WrongAddress(words),
        (404, Some(code)) if code != 0 && says(&GONE_WORDS) => Fault::NotFound(words),
        (100..=199 | 300..=399, _) => Fault::Protocol(format!("HTTP {status}; redirects are not followed")),
        (_, Some(code)) if code != 0 && !is_validation(code) && says(&ACCOUNT_WORDS) => {
            Fault::Forbidden(words)
        }
        (200..=299 | 400..=499, Some(code)) if code != 0 => Fault::Refused(words),
        // What is not in Zoho's form says nothing about a record, whatever its status: believing a 404 of a gateway
        // would delete everything.
        (_, _) => Fault::Protocol(match opened {
            Ok(_) => format!("HTTP {status} came with code 0"),
            Err(closed) => {
                format!("something other than Zoho Books answered HTTP {status}: it was {}", closed.form)
            }
        }),
    };
    Err(fault)
}

/// The user lost the organization, the organization is not of this product or plan, or of this data centre.
const ORGANIZATION_CODES: [i64; 3] = [6041, 9017, 103_001];
/// Words of the same, with any code.
const ORGANIZATION_WORDS: [&str; 8] = [
    "zohoapis domain",
    "organization_id",
    "not associated with the companyid",
    "not associated with the organization",
    "invalid_client",
    "invalid_code",
    "invalid_token",
    "invalid_oauth",
];
/// Words of a missing record, where the code is not the known one. Without them a 404 is a refusal, which a person sees:
/// believing it would delete the record.
const GONE_WORDS: [&str; 3] = ["does not exist", "not found", "has been deleted"];
/// Words of a limit, where no code tells it.
const LIMIT_WORDS: [&str; 5] =
    ["throttl", "try again after", "requests per api in", "too many requests", "maximum number of requests"];
/// Words about what the account may do, with a code that nobody knows.
const ACCOUNT_WORDS: [&str; 9] = [
    "not authorized",
    "unauthorized",
    "permission",
    "access denied",
    "subscription",
    "upgrade your plan",
    "trial has expired",
    "your organization",
    "this organization",
];

/// Codes that say what is wrong with a value of the call.
fn is_validation(code: i64) -> bool {
    matches!(code, 2 | 11 | 15 | 1001..=1099)
}

impl Words {
    /// The wait that the text names: "try again after 22 minutes".
    pub(crate) fn named_wait(&self) -> Option<Duration> {
        let said = self.message.to_lowercase();
        let (_, rest) = said.split_once("again after").or_else(|| said.split_once("again in"))?;
        let mut parts = rest.split_whitespace();
        let number: u64 = parts.next()?.parse().ok()?;
        let unit = match parts.next()?.get(..3)? {
            "sec" => 1,
            "min" => 60,
            "hou" => 3_600,
            _ => return None,
        };
        Some(Duration::from_secs(number.saturating_mul(unit).clamp(1, 86_400)))
    }
}

#[cfg(test)]
mod tests;
