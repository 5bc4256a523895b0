//! The position in a list, kept between pages and across restarts.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{order::ListOrder, tie::Tie};
use crate::{
    error::{Error, Result},
    record::ContentHash,
};

/// The maximum number of calls for one list. A list that needs more calls never ends.
const MOST_CALLS: u32 = 50_000;

/// The next call, and the data needed to judge its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The order in which the list is read.
    pub(super) by: ListOrder,
    /// The page to request, from 1.
    pub(super) page: u32,
    /// The number of calls so far.
    #[serde(default)]
    pub(super) calls: u32,
    /// The time that the filter asks for: every record that changed before this time was shown.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub(super) from: Option<OffsetDateTime>,
    /// The hash of the ids of the previous page, unless this is the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<ContentHash>,
    /// How many answers in a row repeated that page.
    #[serde(default)]
    pub(super) repeats: u32,
    /// The walks over a second that fills more than one page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tie: Option<Tie>,
}

/// A position that an earlier version of the program wrote. Earlier versions read in other orders, so that the list
/// cannot be continued at such a position.
#[derive(Deserialize)]
struct Outdated {
    page: u32,
    #[serde(rename = "unsorted")]
    _unsorted: bool,
}

impl Outdated {
    fn is(text: &str) -> bool {
        serde_json::from_str(text).is_ok_and(|Self { page, .. }| (1..=MOST_CALLS).contains(&page))
    }
}

impl Position {
    pub(super) fn first(by: ListOrder, since: Option<OffsetDateTime>) -> Self {
        Self { by, page: 1, calls: 0, from: since, before: None, repeats: 0, tie: None }
    }

    /// Reads a position that [`Position::to_text`] wrote. The result is `None` for a position of an earlier version:
    /// the list is then read from its beginning, and rows that were listed before count once.
    pub(super) fn from_text(text: &str) -> Result<Option<Self>> {
        match serde_json::from_str::<Self>(text) {
            Ok(position) if position.page > 0 && position.calls < MOST_CALLS => Ok(Some(position)),
            Ok(position) => Err(Error::invalid(format!(
                "call {} for page {} is beyond the end of every list",
                position.calls, position.page
            ))),
            Err(_) if Outdated::is(text) => Ok(None),
            Err(error) => Err(Error::invalid("the cursor of the list cannot be parsed").with_source(error)),
        }
    }

    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("the cursor cannot be written").with_source(error))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_position_survives_being_written() {
        let mut position = Position::first(ListOrder::MovingFilter, Some(datetime!(2026-11-01 12:00 UTC)));
        position.tie = Some(Tie::default());
        position.before = Some(ContentHash::of_bytes(b"ids"));
        let text = position.to_text().expect("writable");
        assert_eq!(Position::from_text(&text).expect("readable"), Some(position));
    }

    #[test]
    fn a_position_of_an_earlier_version_starts_over() {
        for old in [
            r#"{"page":3,"before":"ab","unsorted":false}"#,
            r#"{"page":2,"before":"ab","last":"2026-11-01T12:00:00Z","unsorted":true}"#,
        ] {
            assert_eq!(Position::from_text(old).expect("readable"), None);
        }
    }

    #[test]
    fn nonsense_and_lists_without_an_end_are_refused() {
        assert!(Position::from_text("page 2").is_err());
        let mut position = Position::first(ListOrder::Whole, None);
        position.calls = MOST_CALLS;
        assert!(Position::from_text(&position.to_text().expect("writable")).is_err());
    }
}
