//! Cursors of lists, newest first.

use tds_core::{Error, ErrorKind, Page, Result, Retry};

/// The id below which a page begins.
pub(crate) fn below(cursor: Option<&str>) -> Result<i64> {
    let Some(text) = cursor else { return Ok(i64::MAX) };
    let id = text.strip_prefix("before-").and_then(|id| id.parse().ok());
    id.ok_or_else(|| {
        Error::new(ErrorKind::Config, Retry::Permanent, "the cursor is none that this list gave out")
    })
}

/// How many rows to ask for: one more than shown tells whether there is a next page.
pub(crate) fn rows(limit: usize) -> i64 {
    i64::try_from(limit.max(1).saturating_add(1)).unwrap_or(i64::MAX)
}

/// A page of at most `limit` of the rows that were read.
pub(crate) fn page<T>(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> i64) -> Page<T> {
    let limit = limit.max(1);
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| format!("before-{}", id(last)));
    Page { items, next_cursor }
}
