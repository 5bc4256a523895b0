//! The one error type of the engine: what happened, and whether to try again.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

/// Shorthand for results of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The record does not exist at the source.
    NotFound,
    /// The data cannot be understood, or breaks a constraint of the target. A matter of this record alone.
    Invalid,
    /// The source answered something that its protocol does not allow (HTML, a cut body, an unknown envelope).
    Protocol,
    /// The other side cannot be reached or has an internal fault.
    Unavailable,
    /// Too many requests in a short time.
    RateLimited,
    /// The budget of the day is spent.
    QuotaExhausted,
    /// Credentials are missing, wrong or revoked.
    Unauthorized,
    /// The state does not allow this now (a run is active, a lease was lost).
    Conflict,
    /// Another session of the database holds a lock that is needed. Nobody's fault.
    Locked,
    /// Configuration or usage is wrong.
    Config,
    /// A fault of this program.
    Internal,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It may work later. Spends an attempt.
    Transient {
        /// The other side's own wish for the wait, where it stated one.
        retry_after: Option<Duration>,
    },
    /// It will not work by itself.
    Permanent,
    /// The source asked for a pause. Spends no attempt.
    Throttled {
        /// How long the pause is.
        retry_after: Duration,
    },
    /// Credentials need a person. Spends no attempt; everything that needs the source waits.
    AuthPaused {
        /// When to look again.
        retry_after: Duration,
    },
}

/// What went wrong. `Display` describes this layer only; causes are in the `source()` chain. Clones share the causes.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    retry: Retry,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with its class and a sentence for a person.
    #[must_use]
    pub fn new(kind: ErrorKind, retry: Retry, message: impl Into<String>) -> Self {
        Self { kind, retry, message: message.into(), source: None }
    }

    /// This record cannot be understood or stored, whatever one does.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, Retry::Permanent, message)
    }

    /// It may work in a moment.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, Retry::Transient { retry_after: None }, message)
    }

    /// The record does not exist.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, Retry::Permanent, message)
    }

    /// The state does not allow it.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, Retry::Permanent, message)
    }

    /// A fault of this program.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, Retry::Transient { retry_after: None }, message)
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether to try again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The whole chain in one line, for a log or a dead letter.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
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
