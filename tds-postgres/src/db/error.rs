//! The meaning of a database error, decided by its SQLSTATE.

use std::{io, time::Duration};

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use tds_core::{
    error::{Error, ErrorKind, Retry},
    hint::Hint,
};

use super::setting::Setting;

/// Gives a database error its kind, its retry class and a message. The message begins with `doing`, the action that
/// failed.
pub(crate) fn classify(error: sqlx::Error, doing: &str) -> Error {
    let (kind, retry) = class(&error);
    // The driver's messages contain the messages of their causes. With the driver's error as a source, the chain
    // would repeat them.
    match of_postgres(&error) {
        Some(cause) => {
            let error = Error::new(kind, retry, format!("{doing}: {}", in_words(cause)));
            match cause.code() {
                "42501" => error.with_hint(Hint::GrantPrivilege),
                "25006" => error.with_hint(Hint::AcceptWrites),
                _ => error,
            }
        }
        None if matches!(error, sqlx::Error::PoolTimedOut) => {
            let message = format!("{doing}: no connection of this process became free in time");
            let hint = Hint::Settings(const { &[Setting::MaxConnections.as_str()] });
            Error::new(kind, retry, message).with_hint(hint)
        }
        None => Error::new(kind, retry, format!("{doing}: {error}")),
    }
}

/// Names the action that failed.
pub(crate) trait Doing<T> {
    /// Classifies the error, if there is one. See [`classify`].
    fn doing(self, doing: &str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &str) -> Result<T, Error> {
        self.map_err(|error| classify(error, doing))
    }
}

/// Returns the error of a connection that did not answer within `limit`.
pub(crate) fn silent(limit: Duration) -> sqlx::Error {
    let text = format!("the database did not answer within {} s", limit.as_secs());
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}

/// Returns the error of a connection that could not be opened for this cause.
pub(crate) fn unreachable(cause: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(cause))
}

/// Returns the cause of an error, without the words that the driver puts before it.
pub(crate) fn cause(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(cause) => cause.to_string(),
        other => of_postgres(other).map_or_else(|| other.to_string(), in_words),
    }
}

/// Returns true if the data of the statement is at fault (classes 22, 23 and 54): only this statement fails.
pub(crate) fn is_data_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        other => matches!(class(other), (ErrorKind::Invalid, Retry::Permanent)),
    }
}

/// Returns true if the same transaction may succeed at once: a serialization failure or a deadlock.
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    matches!(code_of(error), "40001" | "40P01")
}

/// Returns true if another session holds a lock for longer than the lock timeout.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    code_of(error) == "55P03"
}

/// Returns true if nothing was done because the server is read-only.
pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    code_of(error) == "25006"
}

/// Returns true if it is unknown whether the statement was executed, because the answer did not arrive.
pub(crate) fn is_unanswered(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)) || is_fatal(error)
}

/// Returns true if the connection must not be used again, for any statement.
pub(crate) fn is_spoilt(error: &sqlx::Error) -> bool {
    let code = code_of(error);
    match (code.get(..2).unwrap_or(""), code) {
        // The connection was lost, refused, ended by an administrator or by the server, or cut off by a pooler.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04") => true,
        // The server is read-only: a standby, or a session that was opened while writing was forbidden.
        (_, "25006") => true,
        // A transaction that failed was left open.
        (_, "25P02") => true,
        // The server has an internal fault, or a prepared statement is outdated because the tables changed.
        ("58" | "XX", _) | (_, "0A000") => true,
        ("", _) => !matches!(
            error,
            sqlx::Error::Encode(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::RowNotFound
        ),
        _ => is_fatal(error),
    }
}

/// Returns true if the database itself or its present setup is at fault, for any statement: the database cannot be
/// reached, is read-only, full or too slow, sessions block each other, or a privilege or a table is missing for a
/// while.
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    let code = code_of(error);
    is_spoilt(error)
        || is_retryable(error)
        || code.starts_with("53")
        || matches!(code, "55000" | "57014")
        || is_of_the_setup(code)
}

/// Returns true if a privilege, a schema, a table, a column or a function is missing. An operator is changing it, or
/// has to.
fn is_of_the_setup(code: &str) -> bool {
    matches!(code, "42501" | "3F000" | "42P01" | "42703" | "42883")
}

/// Gives an error that affects a record its class. A fault of the database does not spend an attempt of the record.
pub(crate) fn classify_for_record(error: sqlx::Error, doing: &str) -> Error {
    let is_outage = is_outage(&error);
    let error = classify(error, doing);
    if is_outage && error.retry() != Retry::Permanent {
        return error.with_retry(Retry::Throttled { retry_after: OUTAGE });
    }
    error
}

/// Returns true if a prepared statement was not found in its session, or another statement was found: several
/// sessions execute the transactions of this connection.
pub(crate) fn is_of_a_pooler(error: &sqlx::Error) -> bool {
    let Some(cause) = of_postgres(error) else { return false };
    matches!(cause.code(), "26000" | "42P05")
        || cause.code() == "08P01" && cause.message().contains("prepared statement")
}

/// Returns true if the server or a pooler has no more connections for this process.
pub(crate) fn is_crowded(error: &sqlx::Error) -> bool {
    let Some(cause) = of_postgres(error) else { return false };
    // Poolers use messages of their own, with codes that have several meanings.
    const WORDS: [&str; 5] =
        ["no more connections", "too many", "max client", "max_client_conn", "remaining connection slots"];
    let text = cause.message().to_lowercase();
    cause.code() == "53300" || WORDS.iter().any(|words| text.contains(words))
}

/// Returns true if a connection that could not be opened may succeed in a moment: no process listens yet, or the
/// server is starting or stopping.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(cause) => matches!(
            cause.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
        ),
        other => matches!(code_of(other), "57P01" | "57P02" | "57P03"),
    }
}

/// Returns true if a connection may have been refused because of the requested settings. The wording of the
/// refusal does not matter.
pub(crate) fn may_be_about_settings(error: &sqlx::Error) -> bool {
    let code = code_of(error);
    // These codes are about something else: credentials, names, too many connections, or a server that is not ready.
    let other = matches!(code.get(..2).unwrap_or(""), "28" | "3D" | "53" | "57" | "55") || is_crowded(error);
    !code.is_empty() && !other
}

fn is_fatal(error: &sqlx::Error) -> bool {
    let severity = of_postgres(error).map(PgDatabaseError::severity);
    severity.is_some_and(|severity| matches!(severity, PgSeverity::Fatal | PgSeverity::Panic))
}

fn code_of(error: &sqlx::Error) -> &str {
    of_postgres(error).map_or("", PgDatabaseError::code)
}

/// How long a record waits while the database has an outage.
const OUTAGE: Duration = Duration::from_secs(5);

/// The other session may release its lock in a moment.
const LOCKED: Retry = Retry::Throttled { retry_after: Duration::from_secs(1) };

const TRANSIENT: Retry = Retry::Transient { retry_after: None };

fn class(error: &sqlx::Error) -> (ErrorKind, Retry) {
    let code = match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => "08000",
        sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => "08000",
        sqlx::Error::Encode(_) => "22000",
        sqlx::Error::Configuration(_) => return (ErrorKind::Config, Retry::Permanent),
        _ => code_of(error),
    };
    match (code.get(..2).unwrap_or(""), code) {
        // A lock is not the fault of the record, so no attempt is spent.
        (_, "55P03") => (ErrorKind::Locked, LOCKED),
        // Serialization failure, deadlock, or a query that a timeout cancelled.
        ("40", _) | (_, "57014" | "25P03") => (ErrorKind::Unavailable, TRANSIENT),
        ("08" | "53" | "57" | "58", _) => (ErrorKind::Unavailable, TRANSIENT),
        // Class 54 is a value beyond a limit, such as a text too long for an index.
        ("22" | "23" | "54", _) => (ErrorKind::Invalid, Retry::Permanent),
        ("28", _) | (_, "3D000") => (ErrorKind::Config, Retry::Permanent),
        // The database itself refuses connections for now, for example during maintenance.
        (_, "55000") => (ErrorKind::Unavailable, TRANSIENT),
        // A read-only server: a standby after a failover, until the address points to the new primary.
        (_, "25006") => (ErrorKind::Unavailable, TRANSIENT),
        (_, code) if is_of_the_setup(code) => (ErrorKind::Unavailable, TRANSIENT),
        // The rest of class 42, and every unforeseen code.
        _ => (ErrorKind::Internal, TRANSIENT),
    }
}

/// Returns the PostgreSQL error inside, if there is one.
pub(crate) fn of_postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|cause| cause.try_downcast_ref::<PgDatabaseError>())
}

const NUL: &str = "a text contains the character U+0000, which PostgreSQL cannot store";

fn in_words(cause: &PgDatabaseError) -> String {
    let mut text = match cause.code() {
        // The character arrives as an escape in JSON (22P05), or as the byte itself (22021).
        "22P05" => NUL.to_owned(),
        "22021" if cause.message().contains("0x00") => NUL.to_owned(),
        "22P02" if cause.detail().is_some_and(|detail| detail.contains("surrogate")) => {
            "a text contains half of a surrogate pair, which is not a character".to_owned()
        }
        "42501" if cause.message().starts_with("permission denied for database") => {
            format!("{}; the role of the connection needs GRANT CONNECT, CREATE ON DATABASE", cause.message())
        }
        "42501" => format!("{}; the role of the connection lacks a privilege", cause.message()),
        "55P03" => "another session holds a lock that is needed".to_owned(),
        "22003" => format!("a number is out of range ({})", cause.message()),
        _ => cause.message().to_owned(),
    };
    let named = [("constraint", cause.constraint()), ("table", cause.table()), ("column", cause.column())];
    for (what, name) in named {
        if let Some(name) = name.filter(|name| !text.contains(*name)) {
            text.push_str(&format!(", {what} {name}"));
        }
    }
    text.push_str(&format!(" (SQLSTATE {})", cause.code()));
    text
}
