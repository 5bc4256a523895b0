//! Bugs of pushes that the simulation must find. Each bug is planted in a wrapper, never in the engine.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// A create whose outcome is not known is repeated without a search.
    CreatesBlindly,
    /// A create whose outcome is not known is repeated without a search, as an upsert that doubles nothing.
    UpsertsBlindly,
    /// The mark of a create whose outcome is not known is never stored.
    DoubtForgotten,
    /// The id of a created record is not stored.
    LinkForgotten,
    /// A read overwrites columns with pending changes.
    PendingOverwritten,
    /// What was read last is the base, although changes are pending.
    BaseTooNew,
    /// The end of a push also ends the changes that were captured during the push.
    CapturedDropped,
    /// An update writes every column, and not only those that changed.
    WritesEverything,
    /// What lost a conflict is not kept.
    LosersForgotten,
    /// An update writes the lines without their ids.
    LinesWithoutIds,
    /// What was sent without an answer is not remembered.
    SentForgotten,
    /// A change that is captured while the push of its record is under way gets no item of its own.
    RelayForgetful,
}

impl Bug {
    pub(crate) const ALL: [Self; 12] = [
        Self::CreatesBlindly,
        Self::UpsertsBlindly,
        Self::DoubtForgotten,
        Self::LinkForgotten,
        Self::PendingOverwritten,
        Self::BaseTooNew,
        Self::CapturedDropped,
        Self::WritesEverything,
        Self::LosersForgotten,
        Self::LinesWithoutIds,
        Self::SentForgotten,
        Self::RelayForgetful,
    ];
}
