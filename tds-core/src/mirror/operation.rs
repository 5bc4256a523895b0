//! What a write did to a record of the target.

use crate::{closed_set::closed_set, guard::SyncState, queue::Outcome};

closed_set! {
    /// What a write did to a record of the target.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Operation {
        /// The record is new.
        Insert = "insert",
        /// Columns or child rows of the record changed.
        Update = "update",
        /// The record became a tombstone.
        Delete = "delete",
        /// The record was a tombstone and is live again.
        Restore = "restore",
    }
}

impl Operation {
    /// Returns what the write of a read did; `None` if nothing was written. `before` is the sync state before the read.
    /// `inserted`: the head row is new.
    #[must_use]
    pub fn of(before: Option<&SyncState>, outcome: Outcome, inserted: bool) -> Option<Self> {
        let was_deleted = before.is_some_and(|state| state.deleted);
        match outcome {
            Outcome::Deleted => before.filter(|_| !was_deleted).map(|_| Self::Delete),
            Outcome::Applied if inserted || before.is_none() => Some(Self::Insert),
            Outcome::Applied if was_deleted => Some(Self::Restore),
            Outcome::Applied => Some(Self::Update),
            _ => None,
        }
    }
}
