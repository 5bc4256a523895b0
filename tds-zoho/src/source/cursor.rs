//! Where a list goes on. Opaque to the engine, which keeps it between pages and across restarts.

use serde::{Deserialize, Serialize};
use tds_core::{ContentHash, Error, Result};
use time::OffsetDateTime;

/// A list that goes on beyond this many pages of 200 rows is no list: it never ends.
const LAST_PAGE: u32 = 50_000;

/// The next page, and what is needed to tell a page from its predecessor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The page to ask for, from 1.
    pub(super) page: u32,
    /// Hash of the ids of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<ContentHash>,
    /// The time of change of the last row before, in a list sorted by it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub(super) last: Option<OffsetDateTime>,
    /// Rows came out of order: the list has to be read to its end.
    #[serde(default)]
    pub(super) unsorted: bool,
}

impl Cursor {
    /// Reads what [`Cursor::to_text`] wrote; `None` is the beginning.
    pub(super) fn from_text(text: Option<&str>) -> Result<Self> {
        let Some(text) = text else {
            return Ok(Self { page: 1, before: None, last: None, unsorted: false });
        };
        let cursor: Self = serde_json::from_str(text)
            .map_err(|error| Error::invalid("the cursor of the list is not understood").with_source(error))?;
        if (1..=LAST_PAGE).contains(&cursor.page) {
            Ok(cursor)
        } else {
            Err(Error::invalid(format!("page {} is beyond every list", cursor.page)))
        }
    }

    /// The cursor as text.
    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("the cursor cannot be written").with_source(error))
    }
}
