//! One call for a list, and what follows from its answer.

use time::{Duration, OffsetDateTime};

use super::{Ability, Capability, ListOrder, RowOrder, position::Position};
use crate::{
    error::{Error, ErrorKind, Result, Retry},
    record::ContentHash,
    source::{ListRequest, Listed},
};

/// The tolerance of the filter check: a row that is older than the requested time by more than this shows that the
/// source ignores the filter.
const SLACK: Duration = Duration::minutes(1);
/// The number of repetitions in a row that shows that the source does not count pages. A page may be repeated, because
/// as many rows as a page holds were moved before it in the meantime.
const MOST_REPEATS: u32 = 3;

/// The parameters of one call for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCall {
    /// The number of the page, from 1.
    pub page: u32,
    /// Only records that changed at or after this time. If it is not certain whether the source includes the
    /// boundary, the caller has to ask for a time one second earlier.
    pub changed_since: Option<OffsetDateTime>,
    /// The order of the rows.
    pub order: RowOrder,
}

/// What follows from a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextPage {
    /// The cursor of the next call; `None` if the list was read to its end.
    pub next: Option<String>,
    /// What is now known about the list, if the answer contradicted the capability. The list is then continued in
    /// another order.
    pub learned: Option<Capability>,
}

/// A walk through a list: it determines the next call.
#[derive(Clone, Debug)]
pub struct ListWalk {
    position: Position,
    capability: Capability,
    since: Option<OffsetDateTime>,
}

impl ListWalk {
    /// Continues at the cursor of the request, or begins a list if the request has no cursor.
    ///
    /// # Errors
    /// `Invalid`: the cursor was not returned by [`ListWalk::after`], or the list never ends.
    pub fn new(request: &ListRequest) -> Result<Self> {
        let going_on = request.cursor.as_deref().map(Position::from_text).transpose()?.flatten();
        let order = request.order.supported(request.capability, request.since);
        Ok(Self {
            position: going_on.unwrap_or_else(|| Position::first(order, request.since)),
            capability: request.capability,
            since: request.since,
        })
    }

    /// Returns the parameters of the next call.
    #[must_use]
    pub fn call(&self) -> ListCall {
        let by = self.position.by;
        ListCall {
            page: self.position.page,
            changed_since: self.position.from.filter(|_| by.filters()),
            order: by.rows(),
        }
    }

    /// Returns what follows from the page that answered [`ListWalk::call`].
    ///
    /// `has_more` is true if the source says that more rows follow. `says_unsorted` is true if the source says
    /// that it sorted by something other than what the call requested.
    ///
    /// # Errors
    /// `Protocol`: the source returns the same page again and again, or an empty page although more rows
    /// follow.
    pub fn after(mut self, rows: &[Listed], has_more: bool, says_unsorted: bool) -> Result<NextPage> {
        self.position.calls += 1;
        if has_more && rows.is_empty() {
            return Err(protocol(format!(
                "page {} of the list is empty, although the list says that more pages follow",
                self.position.page
            )));
        }
        let identity = identity(rows);
        let repeats = self.position.page > 1 && self.position.before.as_ref() == Some(&identity);
        self.position.repeats = if repeats { self.position.repeats + 1 } else { 0 };
        if self.position.repeats >= MOST_REPEATS {
            return Err(protocol(format!(
                "page {} of the list repeats the page before it",
                self.position.page
            )));
        }
        self.position.before = Some(identity);
        let by = self.position.by;
        if by.filters() && self.shows_older(rows) {
            return self.without_filter(has_more);
        }
        if by.rows() != RowOrder::Own && (says_unsorted || !self.is_sorted(rows)) {
            return self.without_sorting(says_unsorted || rows.iter().all(|row| row.version.is_some()));
        }
        let past = by == ListOrder::NewestFirst && self.is_past(rows);
        let next = match by {
            ListOrder::MovingFilter => self.move_filter(rows, has_more),
            ListOrder::NewestFirst | ListOrder::Filtered | ListOrder::Whole => {
                self.next_page(has_more && !past)
            }
        };
        advance(next, None)
    }

    /// Moves the filter to the last change that was seen and requests page 1 again, until no page follows page 1. If
    /// a page shows only changes at the time of the filter, the walk reads the pages of that second, and repeats this
    /// until two walks in a row show the same rows.
    fn move_filter(mut self, rows: &[Listed], has_more: bool) -> Option<Position> {
        if self.position.page == 1 && !has_more {
            return None;
        }
        let (from, last) = (self.position.from, rows.last().and_then(|row| row.version));
        let inside = last <= from;
        if self.position.tie.is_none() && !inside {
            return Some(Position { from: last, page: 1, tie: None, ..self.position });
        }
        let mut tie = self.position.tie.take().unwrap_or_default();
        tie.show(rows);
        if has_more && inside {
            return Some(Position { page: self.position.page + 1, tie: Some(tie), ..self.position });
        }
        match tie.again() {
            Some(again) => Some(Position { page: 1, tie: Some(again), ..self.position }),
            None if has_more => {
                let beyond = from.map(|from| from + Duration::SECOND);
                Some(Position { from: beyond, page: 1, tie: None, ..self.position })
            }
            None => None,
        }
    }

    fn next_page(self, more: bool) -> Option<Position> {
        more.then(|| Position { page: self.position.page + 1, ..self.position })
    }

    /// Returns true if a row is older than the request asked for, which proves that the source ignores the filter.
    fn shows_older(&self, rows: &[Listed]) -> bool {
        let Some(oldest) = self.position.from.and_then(|from| from.checked_sub(SLACK)) else { return false };
        rows.iter().any(|row| row.version.is_some_and(|version| version < oldest))
    }

    /// Returns true if the rows are sorted. The check covers one page only: between two pages, edits move rows even
    /// in a sorted list. A row without a time can be anywhere, so its page does not count as sorted.
    fn is_sorted(&self, rows: &[Listed]) -> bool {
        let descending = self.position.by == ListOrder::NewestFirst;
        rows.iter().all(|row| row.version.is_some())
            && rows.windows(2).all(|pair| {
                if descending {
                    pair[0].version >= pair[1].version
                } else {
                    pair[0].version <= pair[1].version
                }
            })
    }

    /// Returns true if all rows that follow changed before the window. The rows are sorted by newest change first.
    fn is_past(&self, rows: &[Listed]) -> bool {
        rows.last().is_some_and(|row| row.version < self.since)
    }

    /// Continues without the filter. In the list's own order, no row is earlier in the whole list than in the filtered
    /// list, so that the next page of the whole list misses nothing. After a moving filter, the list is read
    /// from its beginning.
    fn without_filter(self, has_more: bool) -> Result<NextPage> {
        let learned = Capability { filter: Ability::Refuted, ..self.capability };
        if self.position.by == ListOrder::MovingFilter {
            return self.anew(learned, Some(learned));
        }
        let next = self.next_page(has_more).map(|next| Position { by: ListOrder::Whole, ..next });
        advance(next, Some(learned))
    }

    /// Reads the list from its beginning, without sorting, because rows may have been passed over. A wrong order
    /// proves that other lists of this kind are not sorted either. One row without a time does not prove that.
    fn without_sorting(self, proven: bool) -> Result<NextPage> {
        let unsorted = Capability { sort: Ability::Refuted, ..self.capability };
        self.anew(unsorted, proven.then_some(unsorted))
    }

    fn anew(self, capability: Capability, learned: Option<Capability>) -> Result<NextPage> {
        let first = Position::first(ListOrder::MovingFilter.supported(capability, self.since), self.since);
        advance(Some(Position { calls: self.position.calls, ..first }), learned)
    }
}

fn advance(next: Option<Position>, learned: Option<Capability>) -> Result<NextPage> {
    Ok(NextPage { next: next.map(|next| next.to_text()).transpose()?, learned })
}

/// Returns the identity of a page: the hash of its ids in their order.
fn identity(rows: &[Listed]) -> ContentHash {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    ContentHash::of_bytes(ids.join("\n").as_bytes())
}

fn protocol(message: String) -> Error {
    Error::new(ErrorKind::Protocol, Retry::Transient { retry_after: None }, message)
}
