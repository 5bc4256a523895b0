//! The cursors of lists that begin with the newest row.

use tds_core::{
    error::{Error, Result},
    queue::Page,
};

/// Returns the id below which a page begins.
pub(crate) fn below(cursor: Option<&str>) -> Result<i64> {
    let Some(text) = cursor else { return Ok(i64::MAX) };
    let id = text.strip_prefix("before-").and_then(|id| id.parse().ok());
    id.ok_or_else(|| Error::invalid("the cursor was not returned by this list"))
}

/// Returns how many rows to read. One row more than the page shows whether there is a next page.
pub(crate) fn rows(limit: usize) -> i64 {
    i64::try_from(limit.max(1).saturating_add(1)).unwrap_or(i64::MAX)
}

/// Returns a page of at most `limit` of the rows that were read.
pub(crate) fn page<T>(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> i64) -> Page<T> {
    let limit = limit.max(1);
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| format!("before-{}", id(last)));
    Page { items, next_cursor }
}

#[cfg(test)]
mod tests {
    use tds_core::error::ErrorKind;

    use super::{below, page};

    #[test]
    fn a_cursor_continues_below_the_last_row_and_an_invented_one_is_invalid() {
        let first = page(vec![9, 7, 5], 2, |id| *id);
        assert_eq!(first.items, [9, 7]);
        assert_eq!(below(first.next_cursor.as_deref()).expect("our own"), 7);
        for wrong in ["", "7", "before-", "before-x"] {
            assert_eq!(below(Some(wrong)).expect_err(wrong).kind(), ErrorKind::Invalid);
        }
    }
}
