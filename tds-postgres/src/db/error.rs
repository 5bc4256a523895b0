//! What a database error means: one `match` on its SQLSTATE.

use std::{io, time::Duration};

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use tds_core::error::{Error, ErrorKind, Retry};

/// Gives a database error its kind, its retry class and a sentence that begins with what was being done.
pub(crate) fn classify(error: sqlx::Error, doing: &str) -> Error {
    let (kind, retry) = class(&error);
    // The driver's own texts contain their causes: as a source they would be told twice.
    let message = match of_postgres(&error) {
        Some(cause) => format!("{doing}: {}", in_words(cause)),
        None if matches!(error, sqlx::Error::PoolTimedOut) => {
            format!("{doing}: no connection of this process became free in time (TDS_DB_CONNECTIONS)")
        }
        None => format!("{doing}: {error}"),
    };
    Error::new(kind, retry, message)
}

/// The error of a connection that said nothing.
pub(crate) fn silent(limit: Duration) -> sqlx::Error {
    let text = format!("the database did not answer within {} s", limit.as_secs());
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}

/// True when the data of the statement is at fault (classes 22, 23 and 54): it fails alone.
pub(crate) fn is_data_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        other => matches!(class(other), (ErrorKind::Invalid, Retry::Permanent)),
    }
}

/// True when the same transaction may well succeed at once: serialization failure, deadlock.
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    matches!(code_of(error), "40001" | "40P01")
}

/// True when another session holds a lock for longer than one may wait.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    code_of(error) == "55P03"
}

/// True when nothing was done because the server takes no writes.
pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    code_of(error) == "25006"
}

/// True when nobody knows whether the statement was executed: the answer did not come.
pub(crate) fn is_unanswered(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)) || is_fatal(error)
}

/// True when the connection is not to be used again, whatever is asked over it.
pub(crate) fn is_spoilt(error: &sqlx::Error) -> bool {
    let code = code_of(error);
    match (code.get(..2).unwrap_or(""), code) {
        // Lost, refused, ended by an administrator or by the server, cut off by a pooler.
        ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04") => true,
        // Read-only: a standby, or a session that was opened when writing was forbidden.
        (_, "25006") => true,
        // The server's own faults, and what was prepared before the tables changed.
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

/// True when the database itself is at fault, or how it is set up just now, whatever is asked of it: it is away, read-only,
/// full or too slow, sessions stand in each other's way, a privilege or a table is missing for a moment.
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    let code = code_of(error);
    is_spoilt(error)
        || is_retryable(error)
        || code.starts_with("53")
        || matches!(code, "55000" | "57014")
        || is_of_the_setup(code)
}

/// True when a privilege, a schema, a table, a column or a function is missing: somebody changes them, or has to.
fn is_of_the_setup(code: &str) -> bool {
    matches!(code, "42501" | "3F000" | "42P01" | "42703" | "42883")
}

/// Gives an error that meets a record its class: what the database is at fault for costs the record no attempt.
pub(crate) fn classify_for_record(error: sqlx::Error, doing: &str) -> Error {
    let is_outage = is_outage(&error);
    let error = classify(error, doing);
    if is_outage && error.retry() != Retry::Permanent {
        let retry = Retry::Throttled { retry_after: OUTAGE };
        return Error::new(error.kind(), retry, error.chain());
    }
    error
}

/// True when a statement was not found where it was prepared, or another one was: transactions of this connection
/// are executed by several sessions.
pub(crate) fn is_of_a_pooler(error: &sqlx::Error) -> bool {
    let Some(cause) = of_postgres(error) else { return false };
    matches!(cause.code(), "26000" | "42P05")
        || cause.code() == "08P01" && cause.message().contains("prepared statement")
}

/// True when the server or a pooler has no more connections for us.
pub(crate) fn is_crowded(error: &sqlx::Error) -> bool {
    let Some(cause) = of_postgres(error) else { return false };
    // Poolers have words of their own, with codes that mean many things.
    const WORDS: [&str; 5] =
        ["no more connections", "too many", "max client", "max_client_conn", "remaining connection slots"];
    let text = cause.message().to_lowercase();
    cause.code() == "53300" || WORDS.iter().any(|words| text.contains(words))
}

/// True when a connection that could not be opened may be opened in a moment: nobody listens yet, or the server is
/// just starting or stopping.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(cause) => matches!(
            cause.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
        ),
        other => matches!(code_of(other), "57P01" | "57P02" | "57P03"),
    }
}

/// True when a connection may have been refused because of the settings that were asked for, in whatever words.
pub(crate) fn may_be_about_settings(error: &sqlx::Error) -> bool {
    let code = code_of(error);
    // Known to be about something else: credentials, names, too many, not now.
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

/// How long a record waits for a database that is away.
const OUTAGE: Duration = Duration::from_secs(5);

/// The other session may be done in a moment.
const LOCKED: Retry = Retry::Throttled { retry_after: Duration::from_secs(1) };

const TRANSIENT: Retry = Retry::Transient { retry_after: None };

fn class(error: &sqlx::Error) -> (ErrorKind, Retry) {
    let code = match error {
        sqlx::Error::Database(_) => of_postgres(error).map_or("", PgDatabaseError::code),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => "08000",
        sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed => "08000",
        sqlx::Error::Encode(_) => "22000",
        sqlx::Error::Configuration(_) => return (ErrorKind::Config, Retry::Permanent),
        _ => "",
    };
    match (code.get(..2).unwrap_or(""), code) {
        // Nobody's fault, so that no attempt is spent.
        (_, "55P03") => (ErrorKind::Locked, LOCKED),
        // Serialization failure, deadlock, query cancelled by a timeout.
        ("40", _) | (_, "57014" | "25P03") => (ErrorKind::Unavailable, TRANSIENT),
        ("08" | "53" | "57" | "58", _) => (ErrorKind::Unavailable, TRANSIENT),
        // 54: beyond a limit, such as a text too long for an index.
        ("22" | "23" | "54", _) => (ErrorKind::Invalid, Retry::Permanent),
        ("28", _) | (_, "3D000") => (ErrorKind::Config, Retry::Permanent),
        // The database itself refuses connections for now, as while somebody maintains it.
        (_, "55000") => (ErrorKind::Unavailable, TRANSIENT),
        // A read-only server: a standby after a failover, until the address points to the new primary.
        (_, "25006") => (ErrorKind::Unavailable, TRANSIENT),
        (_, code) if is_of_the_setup(code) => (ErrorKind::Unavailable, TRANSIENT),
        // The rest of 42 and everything unforeseen.
        _ => (ErrorKind::Internal, TRANSIENT),
    }
}

/// The PostgreSQL error inside, where there is one.
pub(crate) fn of_postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|cause| cause.try_downcast_ref::<PgDatabaseError>())
}

const NUL: &str = "a text contains the character U+0000, which PostgreSQL cannot store";

fn in_words(cause: &PgDatabaseError) -> String {
    let mut text = match cause.code() {
        // As an escape in JSON, and as the byte itself.
        "22P05" => NUL.to_owned(),
        "22021" if cause.message().contains("0x00") => NUL.to_owned(),
        "22P02" if cause.detail().is_some_and(|detail| detail.contains("surrogate")) => {
            "a text contains half of a surrogate pair, which is no character".to_owned()
        }
        "42501" if cause.message().starts_with("permission denied for database") => {
            format!("{}; the role of the connection needs GRANT CONNECT, CREATE ON DATABASE", cause.message())
        }
        "42501" => format!(
            "{}; the role of the connection lacks a privilege, and tds-server check tells how to grant it",
            cause.message()
        ),
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
