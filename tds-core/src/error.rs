//! The error type of the engine: what happened, and whether to try again.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::hint::{Hint, Wording};

/// A [`Result`](std::result::Result) with the engine's error type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure: what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The record does not exist at the source.
    NotFound,
    /// The data cannot be understood, or it violates a constraint of the target. The failure concerns this record only.
    Invalid,
    /// The source sent an answer that its protocol does not allow (HTML, a truncated body, an unknown envelope).
    Protocol,
    /// The other side cannot be reached, or it has an internal fault.
    Unavailable,
    /// The source received too many requests in a short time.
    RateLimited,
    /// The budget of the day is spent.
    QuotaExhausted,
    /// Credentials are missing, wrong or revoked.
    Unauthorized,
    /// The current state does not allow the operation (for example: a run is active, or a lease was lost).
    Conflict,
    /// Another session of the database holds a lock that the operation needs. No record and no setting is at fault.
    Locked,
    /// The configuration or the usage is wrong.
    Config,
    /// This program has a fault.
    Internal,
}

/// The retry class of a failure: whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The operation may succeed later. The failure spends an attempt.
    Transient {
        /// The shortest wait that the other side asked for, if it stated one.
        retry_after: Option<Duration>,
    },
    /// The operation will not succeed without a change of the data, the configuration or the program.
    Permanent,
    /// The source requires a pause. The failure spends no attempt.
    Throttled {
        /// The length of the pause.
        retry_after: Duration,
    },
    /// An operator has to renew the credentials. The failure spends no attempt. All work that needs the source waits.
    AuthPaused {
        /// The time after which the credentials are checked again.
        retry_after: Duration,
    },
}

/// An error of the engine.
///
/// `Display` describes this layer only; the causes are in the `source()` chain. Clones share the causes.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    retry: Retry,
    message: String,
    hint: Option<Hint>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error of a kind and a retry class. `message` is a human-readable sentence.
    #[must_use]
    pub fn new(kind: ErrorKind, retry: Retry, message: impl Into<String>) -> Self {
        Self { kind, retry, message: message.into(), hint: None, source: None }
    }

    /// Creates an `Invalid` error that is permanent: no retry can make this record readable or storable.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, Retry::Permanent, message)
    }

    /// Creates an `Unavailable` error that is transient: the operation may succeed in a moment.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, Retry::Transient { retry_after: None }, message)
    }

    /// Creates a `NotFound` error that is permanent: the record does not exist.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, Retry::Permanent, message)
    }

    /// Creates a `Conflict` error that is permanent: the current state does not allow the operation.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, Retry::Permanent, message)
    }

    /// Creates a `Config` error that is permanent: an operator has to change a setting, a credential or the setup.
    #[must_use]
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, Retry::Permanent, message)
    }

    /// Creates an `Internal` error that is transient: this program has a fault.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, Retry::Transient { retry_after: None }, message)
    }

    /// Adds the cause of the error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Adds what an operator can do about the failure.
    #[must_use]
    pub fn with_hint(mut self, hint: Hint) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Replaces the retry class of the failure.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Puts the place of the failure before the message. The kind, the retry class, the hint and the cause do not
    /// change.
    #[must_use]
    pub fn context(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Returns the kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the retry class of the failure.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// Returns what an operator can do about the failure, if the error or one of its causes has a hint.
    #[must_use]
    pub fn hint(&self) -> Option<&Hint> {
        let of_cause = || self.source()?.downcast_ref::<Self>()?.hint();
        self.hint.as_ref().or_else(of_cause)
    }

    /// Returns the messages of the error and of all its causes in one line, for a log. A hint follows in neutral words.
    #[must_use]
    pub fn chain(&self) -> String {
        self.explain(ToString::to_string)
    }

    /// Returns the messages of the error and of all its causes in one line, for a dead letter or a command. A hint
    /// follows in the words of the embedding program.
    #[must_use]
    pub fn explain(&self, wording: Wording) -> String {
        let mut text = self.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        if let Some(hint) = self.hint() {
            text.push_str("; ");
            text.push_str(&wording(hint));
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}/{:?}: {}", self.kind, self.retry, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
