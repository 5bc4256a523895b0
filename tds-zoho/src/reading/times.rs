//! Dates and times.

use serde_json::Value;
use tds_core::error::Result;
use time::{
    Date, Month, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339,
    macros::format_description,
};

use super::{is_absent, unreadable};

/// Reads a point in time in UTC: `2016-06-11T17:38:06-0700`, also with a colon in the offset or with `Z`. A time
/// without an offset is refused, because its moment is ambiguous.
pub(super) fn as_time(value: &Value, field: &str) -> Result<Option<OffsetDateTime>> {
    let error = || unreadable(field, value, "time with an offset");
    match value {
        _ if is_absent(value) => Ok(None),
        Value::String(text) => parse_time(text.trim()).map(Some).ok_or_else(error),
        _ => Err(error()),
    }
}

/// Reads the same as RFC 3339 text.
pub(super) fn as_timestamp(value: &Value, field: &str) -> Result<Value> {
    let Some(time) = as_time(value, field)? else { return Ok(Value::Null) };
    time.format(&Rfc3339).map(Value::String).map_err(|_| unreadable(field, value, "time with an offset"))
}

fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let compact = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory][offset_minute]"
    );
    let time =
        OffsetDateTime::parse(text, compact).or_else(|_| OffsetDateTime::parse(text, &Rfc3339)).ok()?;
    // The offset may move a time on the first or last day of the calendar beyond the calendar.
    time.checked_to_offset(UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year()))
}

/// Reads a date as `YYYY-MM-DD`. Other spellings are accepted only if they mean the same day everywhere.
pub(super) fn as_date(value: &Value, field: &str) -> Result<Value> {
    let error = || unreadable(field, value, "unambiguous date");
    match value {
        _ if is_absent(value) => Ok(Value::Null),
        Value::String(text) => {
            let date = parse_date(text.trim()).ok_or_else(error)?;
            date.format(format_description!("[year]-[month]-[day]")).map(Value::String).map_err(|_| error())
        }
        _ => Err(error()),
    }
}

fn parse_date(text: &str) -> Option<Date> {
    // For a time, the date as it is written counts, because it is the day of the organization.
    let text = match text.as_bytes().get(10) {
        Some(b'T' | b't' | b' ') if text.as_bytes().get(4) == Some(&b'-') => text.get(..10)?,
        _ => text,
    };
    let parts: Vec<&str> = text.split(['-', '/', '.', ' ', ',']).filter(|part| !part.is_empty()).collect();
    let &[first, second, third] = parts.as_slice() else { return None };
    if first.len() == 4 {
        return date(first, month(second)?, third);
    }
    match (month_name(first), month_name(second)) {
        (Some(month), None) => date(third, month, second),
        (None, Some(month)) => date(third, month, first),
        _ => match (first.parse::<u8>().ok()?, second.parse::<u8>().ok()?) {
            (day, month) if day == month => date(third, numbered(month)?, first),
            (day @ 13..=31, month @ 1..=12) => date(third, numbered(month)?, &day.to_string()),
            (month @ 1..=12, 13..=31) => date(third, numbered(month)?, second),
            _ => None,
        },
    }
}

fn date(year: &str, month: Month, day: &str) -> Option<Date> {
    let digits = |text: &str, most| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if year.len() != 4 || !digits(year, 4) || !digits(day, 2) {
        return None;
    }
    Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()
}

fn month(text: &str) -> Option<Month> {
    month_name(text).or_else(|| numbered(text.parse().ok()?))
}

fn numbered(month: u8) -> Option<Month> {
    Month::try_from(month).ok()
}

fn month_name(text: &str) -> Option<Month> {
    let start = text.get(..3)?;
    (1..=12).filter_map(numbered).find(|month| month.to_string()[..3].eq_ignore_ascii_case(start))
}
