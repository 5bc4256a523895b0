//! The work that follows from a read, which a mirror enqueues in the transaction of its write.

use std::time::Duration;

use crate::{
    guard::{SyncState, Verdict, moved, shows_no_change},
    queue::{Lane, NewItem, Work},
    record::Read,
};

/// New work that is not due at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayedItem {
    /// The work.
    pub item: NewItem,
    /// The work counts as enqueued only after this time.
    pub delay: Duration,
    /// The work is due when the slot of this length ends in which it counts as enqueued. If the length is zero, the
    /// work is due after the delay.
    pub slot: Duration,
}

impl DelayedItem {
    /// Returns the time from the start of the store's clock at which the work is due. `now` is the time since then, in
    /// nanoseconds.
    #[must_use]
    pub fn due(&self, now: i128) -> i128 {
        let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        let (at, slot) = (now.saturating_add(nanos(self.delay)), nanos(self.slot));
        if slot == 0 { at } else { (at.saturating_add(slot - 1)).div_euclid(slot).saturating_mul(slot) }
    }
}

/// Returns the work that follows from a read: reads of the records that it moves and, if a derived read shows no
/// change yet, another look at the record itself. `before` and `after` are the sync states of the record before and
/// after the verdict.
///
/// A mirror enqueues this work in the transaction in which it stores the sync state. Otherwise, a process that dies in
/// between would leave values behind that nobody reads again.
#[must_use]
pub fn follow_ups(
    before: Option<&SyncState>,
    after: Option<&SyncState>,
    read: &Read,
    verdict: Verdict,
) -> Vec<DelayedItem> {
    let Some(follow) = &read.follow else { return Vec::new() };
    let keys = moved(before, after, read, verdict);
    let mut items: Vec<DelayedItem> = keys
        .into_iter()
        .filter(|key| *key != read.key && follow.includes(&key.entity))
        .map(|key| DelayedItem {
            item: NewItem::new(key, Lane::Derived, Work::fetch()),
            delay: Duration::ZERO,
            slot: follow.slot,
        })
        .collect();
    let shows_none = match verdict {
        Verdict::Unchanged => true,
        Verdict::Apply { .. } => shows_no_change(before, after, read),
        Verdict::Stale | Verdict::Reread(_) => false,
    };
    if let Some(delay) = follow.look_again.filter(|_| follow.is_derived && shows_none) {
        // The item of the read is claimed, so this work is folded into it. The recheck tells the two looks apart.
        let work = Work { recheck: true, ..Work::fetch() };
        let item = NewItem::new(read.key.clone(), Lane::Derived, work);
        items.push(DelayedItem { item, delay, slot: follow.slot });
    }
    items
}
