//! A range of days.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Date, macros::format_description};

use crate::error::{Error, Result};

time::serde::format_description!(iso_date, Date, "[year]-[month]-[day]");

/// A range of days. Both ends belong to the range, and one of them may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateRange {
    #[serde(default, with = "iso_date::option")]
    from: Option<Date>,
    #[serde(default, with = "iso_date::option")]
    to: Option<Date>,
}

impl DateRange {
    /// Creates a range.
    ///
    /// # Errors
    /// `Invalid`: both ends are open, or the range ends before it begins.
    pub fn new(from: Option<Date>, to: Option<Date>) -> Result<Self> {
        match (from, to) {
            (None, None) => Err(Error::invalid("the selection names no date")),
            (Some(from), Some(to)) if from > to => {
                Err(Error::invalid(format!("the selection ends on {to}, before it begins on {from}")))
            }
            _ => Ok(Self { from, to }),
        }
    }

    /// Returns the first day, or `None` if the beginning is open.
    #[must_use]
    pub fn from(&self) -> Option<Date> {
        self.from
    }

    /// Returns the last day, or `None` if the end is open.
    #[must_use]
    pub fn to(&self) -> Option<Date> {
        self.to
    }

    /// Returns true if the text is a day, written as `YYYY-MM-DD`, that lies in the range.
    #[must_use]
    pub fn contains(&self, day: &str) -> bool {
        day_of(day).is_some_and(|day| self.holds(day))
    }

    /// Returns true if the text is a day, written as `YYYY-MM-DD`, that lies outside of the range.
    #[must_use]
    pub fn excludes(&self, day: &str) -> bool {
        day_of(day).is_some_and(|day| !self.holds(day))
    }

    fn holds(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

fn day_of(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

impl fmt::Display for DateRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (Some(from), Some(to)) => write!(formatter, "from {from} to {to}"),
            (Some(from), None) => write!(formatter, "from {from} on"),
            (None, Some(to)) => write!(formatter, "up to {to}"),
            (None, None) => formatter.write_str("of any date"),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn both_ends_belong_to_a_range_and_one_may_be_open() {
        let (first, last) = (date!(2026 - 01 - 01), date!(2026 - 03 - 31));
        let range = DateRange::new(Some(first), Some(last)).expect("a range");
        let days = ["2025-12-31", "2026-01-01", "2026-03-31", "2026-04-01", "", "31.01.2026"];
        assert_eq!(days.map(|day| range.contains(day)), [false, true, true, false, false, false]);
        // A text that is not a day is neither inside nor outside.
        assert_eq!(days.map(|day| range.excludes(day)), [true, false, false, true, false, false]);
        assert!(DateRange::new(None, Some(last)).expect("a range").contains("1999-01-01"));
        assert_eq!(range.to_string(), "from 2026-01-01 to 2026-03-31");
    }

    #[test]
    fn a_range_of_nothing_is_refused() {
        assert!(DateRange::new(None, None).is_err());
        assert!(DateRange::new(Some(date!(2026 - 02 - 01)), Some(date!(2026 - 01 - 01))).is_err());
    }
}
