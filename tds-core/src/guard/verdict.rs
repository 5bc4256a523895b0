//! The names of verdicts.

use super::Verdict;
use crate::closed_set::closed_set;

closed_set! {
    /// The kind of a [`Verdict`], under the name by which the history of a record shows it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum VerdictKind {
        /// The read may be written.
        Apply = "apply",
        /// The target already has the state.
        Unchanged = "unchanged",
        /// The read is older than the state in the target.
        Stale = "stale",
        /// The record has to be read again.
        Reread = "reread",
    }
}

impl From<Verdict> for VerdictKind {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Apply { .. } => Self::Apply,
            Verdict::Unchanged => Self::Unchanged,
            Verdict::Stale => Self::Stale,
            Verdict::Reread(_) => Self::Reread,
        }
    }
}
