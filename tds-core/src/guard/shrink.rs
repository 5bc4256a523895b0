//! Sets of child rows that lose most of their rows. The loss may be a fault of the source, so a second read decides.

use super::{RereadReason, SyncState, Verdict, guard};
use crate::record::{Content, Read, Record};

/// Decides like [`guard`], and requires that the shrinking of a set of child rows is confirmed by a second read.
///
/// `shrinks` returns whether a set of this record would shrink by [`is_suspicious_shrink`]. It is called only if
/// the answer matters.
#[must_use]
pub fn guard_sets(state: Option<&SyncState>, read: &Read, shrinks: impl FnOnce(&Record) -> bool) -> Verdict {
    let verdict = guard(state, read);
    let (Verdict::Apply { stable: true, .. }, Content::Present(record)) = (verdict, &read.content) else {
        return verdict;
    };
    let confirmed = state
        .and_then(|state| state.suspect.as_ref())
        .is_some_and(|suspect| suspect.is_confirmed_by(RereadReason::Shrunk, read, record));
    if !confirmed && shrinks(record) { Verdict::Reread(RereadReason::Shrunk) } else { verdict }
}

/// Returns true if a set lost so many rows that the loss may be a fault of the source: all of its rows, or more
/// than half of 20 or more rows.
#[must_use]
pub fn is_suspicious_shrink(previous_count: usize, new_count: usize) -> bool {
    previous_count > 0 && new_count == 0
        || previous_count >= 20 && new_count.saturating_mul(2) < previous_count
}
