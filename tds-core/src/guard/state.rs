//! The change that a read makes to the sync state of its record.

use super::{RereadReason, Suspect, SyncState, Verdict, settled::seen_since};
use crate::record::{
    ColumnHashes, Content, Interval, Observed, Read, Record, Shape, content_hash, list_hash,
};

impl SyncState {
    /// Returns the state after a read and its verdict; `None` if the state does not change, or the record stays
    /// unknown.
    #[must_use]
    pub fn after(previous: Option<&Self>, read: &Read, verdict: Verdict) -> Option<Self> {
        let mut next = previous.cloned().unwrap_or_else(|| Self::unknown(read));
        match verdict {
            Verdict::Stale | Verdict::Reread(RereadReason::Tie | RereadReason::Resurrection) => return None,
            Verdict::Reread(reason @ (RereadReason::SourceWentBack | RereadReason::Shrunk)) => {
                next.suspect = Some(Suspect::new(read, reason));
            }
            Verdict::Unchanged => next.seen_again(read),
            Verdict::Apply { stable, volatile } => match &read.content {
                Content::Absent => {
                    next.deleted = true;
                    next.observed = read.observed;
                    next.suspect = None;
                }
                Content::Present(record) => next.accept(read, record, stable, volatile),
            },
        }
        (previous != Some(&next)).then_some(next)
    }

    /// Creates the state of a record about which only the fact that it was seen is known.
    fn unknown(read: &Read) -> Self {
        Self {
            version: None,
            observed: read.observed,
            list_hash: None,
            spelled: Vec::new(),
            detail_hash: None,
            detail_version: None,
            detail_seen: None,
            volatile_hash: None,
            volatile_seen: None,
            moves: None,
            deleted: false,
            suspect: None,
        }
    }

    /// Notes that the accepted state was seen again, if the read was made later than the one before.
    fn seen_again(&mut self, read: &Read) {
        let Observed::Call(seen) = read.observed else { return };
        if seen.ended > self.observed.interval().ended {
            self.observed = read.observed;
            self.suspect = None;
        }
        if let Content::Present(record) = &read.content {
            if read.shape == Shape::Detail {
                self.detail_seen = self.detail_seen.max(Some(seen.began));
            }
            if self.moves.is_none() {
                // The state was stored before moves were.
                self.moves.clone_from(&record.moves);
            }
            // Without this, an earlier call that is handled later could bring older values back.
            if !record.volatile.is_empty() && !self.changes_volatile(record) {
                self.volatile_seen = self.volatile_seen.max(Some(seen.began));
            }
            if read.shape == Shape::List && self.list_hash.is_none() && !self.changes_volatile(record) {
                self.list_hash = Some(list_hash(record));
            }
        }
        self.remember_row(read);
    }

    /// Returns true if the record shows volatile columns with values that are not known.
    pub(super) fn changes_volatile(&self, record: &Record) -> bool {
        let known = self.volatile_hash.as_ref();
        let shown = ColumnHashes::of(&record.volatile);
        !record.volatile.is_empty() && known.is_none_or(|known| !shown.are_known_to(known))
    }

    /// Returns true unless the known volatile columns were seen after this call began.
    pub(super) fn knows_no_later_volatile(&self, seen: &Interval) -> bool {
        self.volatile_seen.is_none_or(|accepted| seen.began >= accepted)
    }

    fn remember_row(&mut self, read: &Read) {
        if let Some(listed) = &read.listed {
            self.list_hash = Some(listed.hash.clone());
            self.spelled.clone_from(&listed.spelled);
        }
    }

    /// Accepts what a read shows.
    fn accept(&mut self, read: &Read, record: &Record, stable: bool, volatile: bool) {
        let seen = read.observed.interval();
        if stable {
            let hash = (read.shape != Shape::List).then(|| content_hash(record));
            // A record that states no version, and that shows the known content, has the known version.
            let known = hash.is_some() && hash == self.detail_hash;
            let version = record.version.or(self.version.filter(|_| known));
            if self.version != version {
                // The known list row belongs to another version.
                self.list_hash = None;
            }
            self.version = version;
            self.deleted = false;
            if record.moves.is_some() {
                self.moves.clone_from(&record.moves);
            }
            if hash.is_some() {
                self.detail_hash = hash;
                self.detail_version = version;
                self.detail_seen = Some(seen_since(read, record));
            } else {
                self.list_hash = Some(list_hash(record));
            }
        } else if read.shape == Shape::List {
            self.list_hash = Some(list_hash(record));
        } else if read.shape == Shape::Detail {
            self.detail_seen = self.detail_seen.max(Some(seen.began));
        }
        self.remember_row(read);
        if volatile && !record.volatile.is_empty() {
            self.volatile_hash.get_or_insert_default().extend(ColumnHashes::of(&record.volatile));
            self.volatile_seen = Some(seen_since(read, record));
        }
        if stable || seen.ended > self.observed.interval().ended {
            self.observed = read.observed;
        }
        self.suspect = None;
    }
}
