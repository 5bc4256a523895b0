//! The clock of the engine.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A source of the current time.
///
/// The engine reads the time from a `Clock`. Leases and delays in a database follow the database's clock instead.
pub trait Clock: Send + Sync {
    /// Returns the current time, in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// Formats a time for people: RFC 3339 without fractions of a second.
#[must_use]
pub fn readable(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_else(|_| whole.to_string())
}
