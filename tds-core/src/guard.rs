//! The guard against stale writes: one rule for pushed bodies, list rows and details.
//!
//! A comparison of versions alone is wrong when versions have whole seconds: two edits within a second carry the same
//! version. The guard therefore also knows *when* each state was seen, and asks for another read if two
//! observations overlap in time.

mod ahead;
mod judge;
mod moves;
mod settled;
mod shrink;
mod state;
mod suspect;
mod unusual;
mod verdict;

pub(crate) use ahead::is_ahead;
pub use ahead::report_ahead;
pub use judge::judge;
pub use moves::{moved, shows_no_change};
pub use shrink::{guard_sets, is_suspicious_shrink};
pub use suspect::Suspect;
pub use unusual::report_unusual;
pub use verdict::VerdictKind;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::record::{
    ColumnHashes, Content, ContentHash, Interval, Moves, Observed, Read, Record, Shape, content_hash,
    list_hash,
};

/// The sync state: what is known about the accepted state of one record. A store keeps one sync state for each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The accepted version.
    pub version: Option<OffsetDateTime>,
    /// When the source had the accepted state.
    pub observed: Observed,
    /// The hash of the accepted list row, by [`list_hash`].
    pub list_hash: Option<ContentHash>,
    /// The hash of the accepted whole record, by [`content_hash`].
    pub detail_hash: Option<ContentHash>,
    /// The version of the accepted whole record.
    pub detail_version: Option<OffsetDateTime>,
    /// When the whole record was last seen: the beginning of the call, or for a pushed body its version or its
    /// arrival, whichever is earlier.
    pub detail_seen: Option<OffsetDateTime>,
    /// The columns that the list is known to spell differently from the whole record.
    pub spelled: Vec<String>,
    /// The hashes of the volatile columns, one for each column.
    pub volatile_hash: Option<ColumnHashes>,
    /// When the volatile columns were last seen, by the same rule.
    pub volatile_seen: Option<OffsetDateTime>,
    /// What the accepted state moves; `None` if no read has shown it.
    pub moves: Option<Moves>,
    /// Whether the record is known to be deleted.
    pub deleted: bool,
    /// A later read that showed an implausible state. A second such read confirms the state.
    pub suspect: Option<Suspect>,
}

/// The reason why a record has to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RereadReason {
    /// The read has the same version and other content, and the order of the two reads is not known.
    Tie,
    /// A later read showed an older version.
    SourceWentBack,
    /// A pushed body shows a record that is known to be deleted.
    Resurrection,
    /// A set of child rows became empty or lost most of its rows.
    Shrunk,
}

impl fmt::Display for RereadReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tie => "the same version with other content",
            Self::SourceWentBack => "the source went back to an older version",
            Self::Resurrection => "a pushed body of a deleted record",
            Self::Shrunk => "a set of child rows lost most of its rows",
        })
    }
}

/// The decision of the guard on a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The read is written. `stable` and `volatile` say which groups of columns are written.
    Apply {
        /// Whether to write the columns that change together with the version, and the child rows.
        stable: bool,
        /// Whether to write the volatile columns.
        volatile: bool,
    },
    /// The target already has this state.
    Unchanged,
    /// The read is older than the state in the target.
    Stale,
    /// The read cannot be decided: the record has to be read again.
    Reread(RereadReason),
}

const APPLY_ALL: Verdict = Verdict::Apply { stable: true, volatile: true };
const VOLATILE: Verdict = Verdict::Apply { stable: false, volatile: true };

/// Decides whether a read may be written over the accepted state. `state` is `None` for a record that is not known.
#[must_use]
pub fn guard(state: Option<&SyncState>, read: &Read) -> Verdict {
    let Some(state) = state else { return APPLY_ALL };
    match &read.content {
        Content::Absent => absent(state, read),
        Content::Present(_) if state.deleted => resurrection(state, read),
        Content::Present(record) => present(state, read, record),
    }
}

/// Returns true if a list row announces a change that only a detail can show.
///
/// `max_age` is for sources whose list does not move with every change of the detail: details older than `max_age` are
/// read again although the list shows no change.
#[must_use]
pub fn needs_detail(
    state: Option<&SyncState>,
    listed: Option<OffsetDateTime>,
    now: OffsetDateTime,
    max_age: Option<Duration>,
) -> bool {
    let Some(state) = state else { return true };
    let (Some(_), Some(seen)) = (&state.detail_hash, state.detail_seen) else { return true };
    // A detail that seems to have been seen in the future was noted by a clock that was ahead, so its age is not
    // known.
    let too_old = max_age.is_some_and(|age| now - seen >= age || is_ahead(seen, now));
    state.deleted || too_old || listed > state.detail_version
}

/// Returns true for a list row without a version that differs from the accepted row. Nothing but the whole record shows
/// what else changed.
pub(crate) fn changed_without_version(state: Option<&SyncState>, row: &Record) -> bool {
    let differs = |state: &SyncState| state.list_hash.as_ref() != Some(&list_hash(row));
    row.version.is_none() && state.is_some_and(differs)
}

/// Returns true if a full sync reads the detail again although the list shows no change: the list does not move with
/// every change of the detail, or another edit may have the version of the detail.
pub(crate) fn full_sync_rereads(state: Option<&SyncState>, max_age: Option<Duration>) -> bool {
    max_age.is_some() || state.is_some_and(|state| !state.is_settled())
}

fn absent(state: &SyncState, read: &Read) -> Verdict {
    if state.deleted { Verdict::Unchanged } else { later_wins(state, &read.observed.interval()) }
}

fn resurrection(state: &SyncState, read: &Read) -> Verdict {
    match read.observed {
        Observed::Push(_) => Verdict::Reread(RereadReason::Resurrection),
        Observed::Call(seen) => later_wins(state, &seen),
    }
}

/// Decides for the state that was certainly seen last.
fn later_wins(state: &SyncState, seen: &Interval) -> Verdict {
    if seen.is_after(&state.observed.interval()) {
        APPLY_ALL
    } else if outdated(state, seen) {
        Verdict::Stale
    } else {
        Verdict::Reread(RereadReason::Tie)
    }
}

fn present(state: &SyncState, read: &Read, record: &Record) -> Verdict {
    let (hash, known) = match read.shape {
        Shape::List => (list_hash(record), state.list_hash.as_ref()),
        Shape::Detail | Shape::Webhook => (content_hash(record), state.detail_hash.as_ref()),
    };
    match (record.version, state.version) {
        (Some(new), Some(old)) if new > old => APPLY_ALL,
        (Some(new), Some(old)) if new < old => older(state, read, record),
        _ if is_row_of_known_detail(state, read, record) => beside_detail(state, read, record),
        _ if known == Some(&hash) => same(state, read, record),
        _ => by_interval(state, read),
    }
}

/// Returns true for a list row that has the version of the accepted whole record. Such a row shows no more than the
/// whole record did. A list spells some columns in its own way, for example addresses.
fn is_row_of_known_detail(state: &SyncState, read: &Read, record: &Record) -> bool {
    read.shape == Shape::List
        && state.detail_hash.is_some()
        && record.version.is_some()
        && record.version == state.detail_version
}

/// Decides on a list row that has the version of the accepted whole record. Such a row changes volatile columns only.
/// If the row changed in another way since the row before, under the same version, it contains an edit of the same
/// second, and only the whole record shows which edit.
fn beside_detail(state: &SyncState, read: &Read, record: &Record) -> Verdict {
    let Observed::Call(seen) = read.observed else { return Verdict::Unchanged };
    if state.changes_volatile(record) {
        return if state.knows_no_later_volatile(&seen) { VOLATILE } else { Verdict::Unchanged };
    }
    let row_changed = state.list_hash.as_ref().is_some_and(|known| *known != list_hash(record));
    if row_changed && seen.is_after(&state.observed.interval()) {
        Verdict::Reread(RereadReason::Tie)
    } else {
        Verdict::Unchanged
    }
}

/// Decides on a read with the accepted content. At most the volatile columns changed. If a pushed body shows other
/// volatile columns, their age is not known, so the record is read again. A whole record that was read later is
/// compared with the target's rows themselves, because something other than the sync may have changed them. Writing
/// content that is already there costs nothing.
fn same(state: &SyncState, read: &Read, record: &Record) -> Verdict {
    let volatile_changed = state.changes_volatile(record);
    match read.observed {
        Observed::Push(_) if volatile_changed => Verdict::Reread(RereadReason::Tie),
        Observed::Push(_) => Verdict::Unchanged,
        Observed::Call(seen) => {
            let volatile = state.knows_no_later_volatile(&seen);
            if read.shape == Shape::Detail && seen.is_after(&state.observed.interval()) {
                Verdict::Apply { stable: true, volatile }
            } else if volatile_changed && volatile {
                VOLATILE
            } else {
                Verdict::Unchanged
            }
        }
    }
}

/// Decides on a read with the same version and other content: the state that was certainly seen last is accepted.
fn by_interval(state: &SyncState, read: &Read) -> Verdict {
    match read.observed {
        Observed::Push(_) => Verdict::Reread(RereadReason::Tie),
        Observed::Call(seen) => match later_wins(state, &seen) {
            Verdict::Stale if !detail_outdated(state, read, &seen) => Verdict::Reread(RereadReason::Tie),
            verdict => verdict,
        },
    }
}

/// Returns true if the accepted state was certainly seen after this call. Only the arrival time of a pushed body is
/// known: the body may show a state that is older than any call that had ended by then.
fn outdated(state: &SyncState, seen: &Interval) -> bool {
    matches!(state.observed, Observed::Call(accepted) if accepted.is_after(seen))
}

/// Returns true if the whole record was seen after this call, or the read is a list row. A list row that was seen
/// later proves nothing about the columns that only a whole record shows.
fn detail_outdated(state: &SyncState, read: &Read, seen: &Interval) -> bool {
    read.shape == Shape::List || state.detail_seen.is_some_and(|accepted| accepted > seen.ended)
}

/// Decides on a read with an older version. The read is stale, unless it was made later than the accepted read, which
/// means that the source went back to an older version.
fn older(state: &SyncState, read: &Read, record: &Record) -> Verdict {
    let Observed::Call(seen) = read.observed else { return Verdict::Stale };
    if !seen.is_after(&state.observed.interval()) {
        return Verdict::Stale;
    }
    let confirms = |suspect: &Suspect| suspect.is_confirmed_by(RereadReason::SourceWentBack, read, record);
    if state.suspect.as_ref().is_some_and(confirms) {
        APPLY_ALL
    } else {
        Verdict::Reread(RereadReason::SourceWentBack)
    }
}
