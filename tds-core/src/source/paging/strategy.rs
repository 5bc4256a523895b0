//! Which way a list is read.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Capability;

/// In which order a list is read, as it is chosen for a run by its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// Everything.
    Whole,
    /// Only what changed, by the list's filter.
    Filtered,
    /// Newest change first, down to the beginning of the window.
    NewestFirst,
}

/// How the pages of a list follow each other; the table of the module says which way loses what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strategy {
    /// Always page 1, oldest change first; the filter moves.
    MovingFilter,
    /// Newest change first, page by page.
    NewestFirst,
    /// Filtered, in the list's own order, page by page.
    Filtered,
    /// Everything, in the list's own order, page by page.
    Whole,
}

impl Strategy {
    /// The way to read a list in this order, or the safest way that the list allows.
    pub(super) fn of(order: ListOrder, capability: Capability, since: Option<OffsetDateTime>) -> Self {
        if order == ListOrder::Whole { Self::Whole } else { Self::safest(capability, since) }
    }

    /// The safest way that the list allows.
    pub(super) fn safest(capability: Capability, since: Option<OffsetDateTime>) -> Self {
        match (since, capability.filter.is_usable(), capability.sort.is_usable()) {
            (None, ..) | (_, false, false) => Self::Whole,
            (_, true, true) => Self::MovingFilter,
            (_, false, true) => Self::NewestFirst,
            (_, true, false) => Self::Filtered,
        }
    }

    pub(super) fn filters(self) -> bool {
        matches!(self, Self::MovingFilter | Self::Filtered)
    }

    pub(super) fn sorts(self) -> bool {
        matches!(self, Self::MovingFilter | Self::NewestFirst)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::source::Ability::{Documented, Proven, Refuted, Unknown};

    #[test]
    fn what_is_not_known_to_work_is_not_relied_on() {
        let since = Some(datetime!(2026-11-01 12:00 UTC));
        let of = |filter, sort| Strategy::safest(Capability { filter, sort }, since);
        assert_eq!(of(Documented, Proven), Strategy::MovingFilter);
        assert_eq!(of(Unknown, Documented), Strategy::NewestFirst);
        assert_eq!(of(Refuted, Proven), Strategy::NewestFirst);
        assert_eq!(of(Proven, Unknown), Strategy::Filtered);
        assert_eq!(of(Documented, Refuted), Strategy::Filtered);
        assert_eq!(of(Unknown, Refuted), Strategy::Whole);
        assert_eq!(Strategy::safest(Capability { filter: Proven, sort: Proven }, None), Strategy::Whole);
    }
}
