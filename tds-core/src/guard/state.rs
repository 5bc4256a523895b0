//! What a read changes in the known state of its record.

use super::{RereadReason, Suspect, SyncState, Verdict, settled::seen_since};
use crate::{Content, Observed, Read, Record, Shape, content_hash, list_hash, volatile_hash};

impl SyncState {
    /// The state after a read and its verdict; `None` where the state stays as it is, or stays unknown.
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

    /// Nothing is known but that the record was seen.
    fn unknown(read: &Read) -> Self {
        Self {
            version: None,
            observed: read.observed,
            list_hash: None,
            detail_hash: None,
            detail_version: None,
            detail_seen: None,
            volatile_hash: None,
            volatile_seen: None,
            deleted: false,
            suspect: None,
        }
    }

    /// Nothing new; but it was seen so later than before.
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
            // Otherwise an earlier call that is handled later could bring older values back.
            if volatile_hash(record).is_some_and(|hash| self.volatile_hash.as_ref() == Some(&hash)) {
                self.volatile_seen = self.volatile_seen.max(Some(seen.began));
            }
        }
        if let Some(listed) = &read.listed {
            self.list_hash = Some(listed.clone());
        }
    }

    /// Takes over what an accepted read shows.
    fn accept(&mut self, read: &Read, record: &Record, stable: bool, volatile: bool) {
        let seen = read.observed.interval();
        if stable {
            self.version = record.version;
            self.deleted = false;
            match read.shape {
                Shape::List => self.list_hash = Some(list_hash(record)),
                Shape::Detail | Shape::Webhook => {
                    self.detail_hash = Some(content_hash(record));
                    self.detail_version = record.version;
                    self.detail_seen = Some(seen_since(read, record));
                }
            }
        } else if read.shape == Shape::List {
            self.list_hash = Some(list_hash(record));
        } else if read.shape == Shape::Detail {
            self.detail_seen = self.detail_seen.max(Some(seen.began));
        }
        if read.listed.is_some() {
            self.list_hash.clone_from(&read.listed);
        }
        if let (true, Some(hash)) = (volatile, volatile_hash(record)) {
            self.volatile_hash = Some(hash);
            self.volatile_seen = Some(seen_since(read, record));
        }
        if stable || seen.ended > self.observed.interval().ended {
            self.observed = read.observed;
        }
        self.suspect = None;
    }
}
