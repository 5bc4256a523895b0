//! Bugs that the simulation must find: each bug is planted in a wrapper, never in the engine.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// The receiver answers a delivery before it stores it.
    AckEarly,
    /// Settling does not compare the fencing token.
    NoFence,
    /// A page whose commit failed counts as committed.
    PageDropped,
    /// Every read is written, even if the mirror has a newer version.
    GuardSkipped,
    /// Only a newer version is written, so a new read of the same version is lost.
    GuardStrict,
    /// Every read of the same version is written, even an older read.
    GuardLoose,
    /// The same delivery is stored more than once.
    DedupeSkipped,
    /// Two deliveries count as the same if entity type, record and event are the same.
    DedupeByRecord,
    /// Leases are not renewed.
    LeaseForgotten,
    /// The cursor moves past the end of the window.
    CursorPastWindow,
    /// A list is paged by offset, in the order from the oldest change to the newest.
    AscendingOffset,
    /// A record that a full list did not show counts as deleted, without confirmation.
    DeletionUnconfirmed,
    /// Work that arrives while an item is processed does not make the item run again.
    WakeUpLost,
    /// A list row empties the columns that it does not show.
    ListRowBlanks,
    /// The end of an item misses waiters that were attached in the meantime: it decides by the newest row of the item
    /// and by an older look at the waiters.
    LatecomersMissed,
    /// An outage of the account or of the network path counts as a failure of the records that are read meanwhile.
    OutageBlamed,
    /// A change of a document moves only the accounts that the document names now.
    OldLinesForgotten,
    /// A comparison looks at no record of the target that its list lacks, and at no column that only details show.
    TargetForgotten,
    /// A comparison reports what differed once, without a second look.
    SecondLookForgotten,
    /// A comparison forgets some of the records that differed once.
    SuspectsForgotten,
}

impl Bug {
    /// The bugs of comparisons, which only seeds with planted drift can find.
    pub(crate) const OF_COMPARISONS: [Self; 3] =
        [Self::TargetForgotten, Self::SecondLookForgotten, Self::SuspectsForgotten];

    pub(crate) const ALL: [Self; 17] = [
        Self::AckEarly,
        Self::NoFence,
        Self::PageDropped,
        Self::GuardSkipped,
        Self::GuardStrict,
        Self::GuardLoose,
        Self::DedupeSkipped,
        Self::DedupeByRecord,
        Self::LeaseForgotten,
        Self::CursorPastWindow,
        Self::AscendingOffset,
        Self::DeletionUnconfirmed,
        Self::WakeUpLost,
        Self::ListRowBlanks,
        Self::LatecomersMissed,
        Self::OutageBlamed,
        Self::OldLinesForgotten,
    ];
}
