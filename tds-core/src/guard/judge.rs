//! The whole decision on a read, as a mirror needs it before it writes.

use time::OffsetDateTime;

use super::{SyncState, Verdict, guard_sets, report_ahead};
use crate::record::{Read, Record};

/// Judges a read of one record. Returns the verdict, and the sync state to store; `None` means that the stored state
/// does not change.
///
/// `stored` is the sync state of the record, which the mirror holds locked until the new state is stored. `now` is the
/// time of the store's clock. `shrinks` is the argument of [`guard_sets`].
#[must_use]
pub fn judge(
    stored: Option<&SyncState>,
    read: &Read,
    now: OffsetDateTime,
    shrinks: impl FnOnce(&Record) -> bool,
) -> (Verdict, Option<SyncState>) {
    let believed = stored.and_then(|state| state.as_of(now));
    report_ahead(usize::from(believed.is_some()));
    let previous = believed.as_ref().or(stored);
    let verdict = guard_sets(previous, read, shrinks);
    let next = SyncState::after(previous, read, verdict).or(believed);
    (verdict, next.map(|state| state.noted_at(now)))
}
