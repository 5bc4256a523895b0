//! What a database error means: one `match` on its SQLSTATE.

use sqlx::postgres::PgDatabaseError;
use tds_core::{Error, ErrorKind, Retry};

/// Gives a database error its kind, its retry class and a sentence that begins with what was being done.
pub(crate) fn classify(error: sqlx::Error, doing: &str) -> Error {
    let (kind, retry) = class(&error);
    // The driver's own texts contain their causes: as a source they would be told twice.
    let message = match of_postgres(&error) {
        Some(cause) => format!("{doing}: {}", in_words(cause)),
        None => format!("{doing}: {error}"),
    };
    Error::new(kind, retry, message)
}

/// True when the data of the statement is at fault (classes 22, 23 and 54): it fails alone.
pub(crate) fn is_data_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        other => matches!(class(other), (ErrorKind::Invalid, Retry::Permanent)),
    }
}

/// True when the same transaction may well succeed at once: serialization failure, deadlock, lock timeout.
pub(crate) fn is_retryable(error: &sqlx::Error) -> bool {
    of_postgres(error).is_some_and(|cause| matches!(cause.code(), "40001" | "40P01" | "55P03"))
}

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
        // Serialization failure, deadlock, lock not available, query cancelled by a timeout.
        ("40", _) | (_, "55P03" | "57014" | "25P03") => (ErrorKind::Unavailable, TRANSIENT),
        ("08" | "53" | "57" | "58", _) => (ErrorKind::Unavailable, TRANSIENT),
        // 54: beyond a limit, such as a text too long for an index.
        ("22" | "23" | "54", _) => (ErrorKind::Invalid, Retry::Permanent),
        ("28", _) | (_, "3D000") => (ErrorKind::Config, Retry::Permanent),
        // The database itself refuses connections for now, as while somebody maintains it.
        (_, "55000") => (ErrorKind::Unavailable, TRANSIENT),
        // A read-only server: a standby after a failover, until the address points to the new primary.
        (_, "25006") => (ErrorKind::Unavailable, TRANSIENT),
        // 42 and everything unforeseen: a fault of ours, or a schema that somebody else is just changing.
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
