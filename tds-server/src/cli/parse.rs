//! How values of flags are understood.

use std::time::Duration;

use serde::de::{DeserializeOwned, IntoDeserializer, value::Error as ValueError};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

use crate::config::parse_duration;

/// One of the names of an enum, as the API spells them.
pub(crate) fn name<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let deserializer: serde::de::value::StrDeserializer<'_, ValueError> = text.into_deserializer();
    T::deserialize(deserializer).map_err(|error| error.to_string())
}

/// A duration such as `90s` or `30d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 90s, 15m, 12h or 30d".to_owned())
}

/// A time with its zone, or a date, which means its first moment in UTC.
pub(crate) fn time(text: &str) -> Result<OffsetDateTime, String> {
    let date = || Date::parse(text, format_description!("[year]-[month]-[day]"));
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| date().map(|date| date.midnight().assume_utc()))
        .map_err(|_| "write a time such as 2026-11-20T08:00:00Z, or a date such as 2026-11-20".to_owned())
}

#[cfg(test)]
mod tests {
    use tds_core::{ItemStatus, RunMode};
    use time::macros::datetime;

    use super::{duration, name, time};

    #[test]
    fn names_are_those_of_the_api() {
        assert_eq!(name::<ItemStatus>("dead_letter"), Ok(ItemStatus::DeadLetter));
        let error = name::<RunMode>("all").expect_err("no mode");
        assert!(error.contains("`full`") && error.contains("`incremental`"), "{error}");
    }

    #[test]
    fn a_time_needs_its_zone_and_a_date_means_midnight() {
        assert_eq!(time("2026-11-20T08:00:00+03:00"), Ok(datetime!(2026-11-20 05:00 UTC)));
        assert_eq!(time("2026-11-20"), Ok(datetime!(2026-11-20 00:00 UTC)));
        assert!(time("2026-11-20T08:00:00").is_err());
        assert!(duration("1 hour").is_err());
    }
}
