//! The meaning of an answer of the API. Only this file classifies HTTP status, Zoho's code and the form of the
//! body.

mod body;

use std::{error::Error as StdError, fmt, iter, time::Duration};

use serde_json::{Map, Value};
use tds_core::error::{Error, ErrorKind, Retry};

pub(crate) use body::in_one_line;
use body::open;
/// The limit of Zoho that was exceeded: calls a minute, which includes a 429 without further details (codes 43 and
/// 44, unknown codes, no JSON); calls a day (code 45); or calls in flight (code 1070).
pub(crate) use tds_core::limits::budget::CallLimit as Limit;

/// A failure in Zoho's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    status: u16,
    code: Option<i64>,
    message: String,
}

impl Words {
    /// Returns true if the answer had Zoho's form, and so is not the page of a gateway between this process and
    /// Zoho.
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

/// The reason why a call brought no data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The record does not exist.
    NotFound(Words),
    /// The token was not accepted, or lacks the scope. Zoho answers the same in both cases.
    Token(Words),
    /// The organization, its plan or its data centre is refused. No call of the product works.
    Organization(Words),
    /// The account may not make this kind of call.
    Forbidden(Words),
    /// Too many calls were made.
    Limit(Limit, Words),
    /// Zoho has an internal fault.
    Server(Words),
    /// The answer breaks the protocol: it is no JSON, is cut off, has no `code`, or is a redirect.
    Protocol(String),
    /// Zoho cannot be reached, or the answer ended too early.
    Unreachable(String),
    /// Zoho refuses this particular call.
    Refused(Words),
    /// Zoho does not know the address. The base URL is wrong; this is not a missing record.
    WrongAddress(Words),
}

impl Fault {
    /// Returns the fault of a file that is longer than is accepted.
    pub(crate) fn too_long(status: u16, most: usize) -> Self {
        let message = format!("a file that is longer than {most} bytes, which is not read");
        Self::Refused(Words { status, code: None, message })
    }

    /// All names of [`Fault::name`].
    pub(crate) const NAMES: [&'static str; 12] = [
        "not_found",
        "token",
        "organization",
        "forbidden",
        "limit_minute",
        "limit_day",
        "limit_concurrency",
        "server",
        "protocol",
        "unreachable",
        "refused",
        "wrong_address",
    ];

    /// Returns the name of the fault's kind in the statistics, which is one of [`Fault::NAMES`].
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

    /// Returns true if the same call may work within seconds.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Server(_) | Self::Protocol(_) | Self::Unreachable(_))
    }

    /// Returns true if Zoho says that it did nothing: it refuses the call in its own words. Any other answer to a call
    /// that writes leaves open whether the call took effect. An error under a status of success is such an answer too.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Limit(..) => true,
            Self::NotFound(words)
            | Self::Token(words)
            | Self::Organization(words)
            | Self::Forbidden(words)
            | Self::Refused(words)
            | Self::WrongAddress(words) => (400..=499).contains(&words.status) && words.are_zohos(),
            Self::Server(_) | Self::Protocol(_) | Self::Unreachable(_) => false,
        }
    }

    /// Returns what the fault concerns.
    pub(crate) fn about(&self) -> About {
        match self {
            Self::NotFound(_) | Self::Refused(_) => About::Record,
            Self::Limit(..) => About::Limit,
            Self::Token(words) if !words.are_zohos() => About::Connection,
            Self::Token(_) | Self::Forbidden(_) | Self::WrongAddress(_) => {
                About::Account { everywhere: false }
            }
            Self::Organization(_) => About::Account { everywhere: true },
            Self::Server(_) | Self::Protocol(_) | Self::Unreachable(_) => About::Connection,
        }
    }

    /// Returns Zoho's words, if Zoho refuses the organization or the account rather than this call.
    pub(crate) fn refusal_of_the_account(&self) -> Option<&Words> {
        match self {
            Self::Token(words) | Self::Organization(words) if words.are_zohos() => Some(words),
            _ => None,
        }
    }

    /// Returns the kind of the fault's error.
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

/// What an answer concerns. This alone decides which work waits because of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The record that was requested, and no other.
    Record,
    /// The account or the organization. `everywhere` is true if Zoho itself says that the whole product is
    /// refused.
    Account { everywhere: bool },
    /// A limit of calls.
    Limit,
    /// The connection to Zoho, or Zoho itself.
    Connection,
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
                "{words}; check the organization's id and the data center, and that the user who made the refresh \
                 token still belongs to the organization and its plan has this product"
            ),
            Self::WrongAddress(words) => {
                write!(formatter, "{words}; check the URL of the API and the data center")
            }
        }
    }
}

/// Returns the error of a limit, after the client has decided how long to pause.
pub(crate) fn throttled(limit: Limit, words: &impl fmt::Display, retry_after: Duration) -> Error {
    let kind = match limit {
        Limit::Day => ErrorKind::QuotaExhausted,
        Limit::Minute | Limit::Concurrency => ErrorKind::RateLimited,
    };
    let message = format!("{words} (next try in {} s)", retry_after.as_secs().max(1));
    Error::new(kind, Retry::Throttled { retry_after }, message)
}

/// Classifies an answer. Returns the JSON object of a success, or the fault. No other code classifies answers.
pub(crate) fn judge(status: u16, body: &[u8]) -> Result<Map<String, Value>, Fault> {
    let opened = open(body);
    let words = match &opened {
        Ok(envelope) => Words { status, code: Some(envelope.code), message: envelope.message() },
        Err(closed) => Words { status, code: None, message: closed.message.clone() },
    };
    let said = words.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
    let fault = match (status, words.code) {
        // Many gateways answer in this form. Zoho's own codes are not HTTP statuses.
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
        // An answer that is not in Zoho's form says nothing about a record, whatever its status: TDS would delete
        // every record if it trusted the 404 of a gateway.
        (_, _) => Fault::Protocol(match opened {
            Ok(_) => format!("HTTP {status} came with code 0"),
            Err(closed) => {
                format!("something other than Zoho Books answered HTTP {status}: it was {}", closed.form)
            }
        }),
    };
    Err(fault)
}

/// Classifies the answer to a call for a file. Errors come as JSON, with any status and any content type, and gateways
/// answer with pages. Whether the file is an image is not decided here: a file of another kind is the fault of its
/// record.
pub(crate) fn judge_file(status: u16, content_type: &str, body: &[u8]) -> Result<(), Fault> {
    let text = body.trim_ascii_start();
    let is_page = text.starts_with(b"<") && !content_type.contains("svg");
    let is_called_text = content_type.starts_with("text/") || content_type.contains("json");
    let is_text = text.is_empty() || text.starts_with(b"{") || is_page || is_called_text;
    if (200..=299).contains(&status) && !is_text {
        return Ok(());
    }
    match judge(status, body) {
        Ok(_) => Err(Fault::Protocol("JSON without an error came instead of a file".to_owned())),
        Err(fault) => Err(fault),
    }
}

/// The user has lost access to the organization, or the organization does not belong to this product, this plan or
/// this data centre.
const ORGANIZATION_CODES: [i64; 3] = [6041, 9017, 103_001];
/// Words with the same meaning, with any code.
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
/// Words about a missing record, if the code is not the known one. Without these words a 404 is a refusal, which
/// an operator sees: trusting it would delete the record.
const GONE_WORDS: [&str; 3] = ["does not exist", "not found", "has been deleted"];
/// Words about a limit, if no code identifies it.
const LIMIT_WORDS: [&str; 5] =
    ["throttl", "try again after", "requests per api in", "too many requests", "maximum number of requests"];
/// Words about what the account may do, with an unknown code.
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

/// Returns true for codes that say what is wrong with a value of the call.
fn is_validation(code: i64) -> bool {
    matches!(code, 2 | 11 | 15 | 1001..=1099)
}

impl Words {
    /// Returns the wait that the text names, as in "try again after 22 minutes".
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

/// Returns the transport's description of a fault, without the URL.
pub(crate) fn transport_fault(fault: reqwest::Error) -> String {
    let kind = match &fault {
        fault if fault.is_timeout() => "timed out",
        fault if fault.is_connect() => "cannot be reached",
        _ => "the connection failed",
    };
    let fault = fault.without_url();
    let causes = iter::successors(StdError::source(&fault), |cause| StdError::source(*cause));
    in_one_line(&causes.fold(kind.to_owned(), |text, cause| format!("{text}: {cause}")))
}

#[cfg(test)]
mod tests;
