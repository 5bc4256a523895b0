//! Bugs that the simulation must find: each is planted in a wrapper, never in the engine.

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// A delivery is answered before it is stored.
    AckEarly,
    /// Settling does not compare the fencing token.
    NoFence,
    /// A page whose commit failed counts as committed.
    PageDropped,
    /// Whatever was read is written.
    GuardSkipped,
    /// Only a newer version is written.
    GuardStrict,
    /// Any read of the same version is written.
    GuardLoose,
    /// The same delivery is stored again.
    DedupeSkipped,
    /// Deliveries count as the same by type, record and event.
    DedupeByRecord,
    /// Leases are not renewed.
    LeaseForgotten,
    /// The cursor moves past the end of the window.
    CursorPastWindow,
    /// A list is paged by offset, oldest change first.
    AscendingOffset,
    /// What a full list did not show counts as deleted.
    DeletionUnconfirmed,
    /// Work that arrives while an item is in work does not make it run again.
    WakeUpLost,
    /// A list row empties the columns that it does not show.
    ListRowBlanks,
    /// An item's end misses who was attached meanwhile: it decides by the newest row of the item and by an older look
    /// at who waits.
    LatecomersMissed,
    /// An outage of the account or of the way is blamed on the records that are read meanwhile.
    OutageBlamed,
}

impl Bug {
    pub(crate) const ALL: [Self; 16] = [
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
    ];
}
