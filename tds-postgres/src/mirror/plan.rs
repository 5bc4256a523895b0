//! What a read changes in the known state of its record.

use tds_core::{
    Content, Observed, Read, Record, RereadReason, Shape, Suspect, SyncState, Verdict, content_hash, guard,
    list_hash, volatile_hash,
};

/// The guard's verdict; a set of children that shrinks without confirmation is one more reason to read again.
pub(super) fn judge(state: Option<&SyncState>, read: &Read, shrinks: impl Fn(&Record) -> bool) -> Verdict {
    let verdict = guard(state, read);
    let (Verdict::Apply { stable: true, .. }, Content::Present(record)) = (verdict, &read.content) else {
        return verdict;
    };
    let confirmed = state
        .and_then(|state| state.suspect.as_ref())
        .is_some_and(|suspect| suspect.reason == RereadReason::Shrunk && suspect.version == record.version);
    if !confirmed && shrinks(record) { Verdict::Reread(RereadReason::Shrunk) } else { verdict }
}

/// True when a set lost so much that it may be the source's fault.
pub(super) fn is_implausible(before: usize, after: usize) -> bool {
    before > 0 && after == 0 || before >= 20 && after * 2 < before
}

/// The state after a verdict; `None`: it stays as it is.
pub(super) fn next_state(state: Option<&SyncState>, read: &Read, verdict: Verdict) -> Option<SyncState> {
    let mut next = state.cloned().unwrap_or_else(|| unknown(read));
    match verdict {
        Verdict::Stale => return None,
        Verdict::Reread(reason @ (RereadReason::SourceWentBack | RereadReason::Shrunk)) => {
            next.suspect = Some(Suspect { version: version_of(read), reason });
        }
        Verdict::Reread(RereadReason::Tie | RereadReason::Resurrection) => return None,
        Verdict::Unchanged => seen_again(&mut next, read),
        Verdict::Apply { stable, volatile } => match &read.content {
            Content::Absent => {
                next.deleted = true;
                next.observed = read.observed;
                next.suspect = None;
            }
            Content::Present(record) => accept(&mut next, read, record, stable, volatile),
        },
    }
    (state != Some(&next)).then_some(next)
}

/// Nothing new; but it was seen so later than before.
fn seen_again(state: &mut SyncState, read: &Read) {
    let Observed::Call(seen) = read.observed else { return };
    if seen.ended > state.observed.interval().ended {
        state.observed = read.observed;
        state.suspect = None;
    }
    if read.shape == Shape::Detail && read.content != Content::Absent {
        state.detail_seen = state.detail_seen.max(Some(seen.began));
    }
    if let Some(listed) = &read.listed {
        state.list_hash = Some(listed.clone());
    }
}

fn accept(state: &mut SyncState, read: &Read, record: &Record, stable: bool, volatile: bool) {
    let seen = read.observed.interval();
    if stable {
        state.version = record.version;
        state.deleted = false;
        match read.shape {
            Shape::List => state.list_hash = Some(list_hash(record)),
            Shape::Detail | Shape::Webhook => {
                state.detail_hash = Some(content_hash(record));
                state.detail_version = record.version;
                state.detail_seen = Some(seen.began);
            }
        }
    } else if read.shape == Shape::List {
        state.list_hash = Some(list_hash(record));
    } else if read.shape == Shape::Detail {
        state.detail_seen = state.detail_seen.max(Some(seen.began));
    }
    if read.listed.is_some() {
        state.list_hash.clone_from(&read.listed);
    }
    if let (true, Some(hash)) = (volatile, volatile_hash(record)) {
        state.volatile_hash = Some(hash);
        state.volatile_seen = Some(seen.began);
    }
    if stable || seen.ended > state.observed.interval().ended {
        state.observed = read.observed;
    }
    state.suspect = None;
}

fn unknown(read: &Read) -> SyncState {
    SyncState {
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

fn version_of(read: &Read) -> Option<time::OffsetDateTime> {
    match &read.content {
        Content::Present(record) => record.version,
        Content::Absent => None,
    }
}
