//! The ways to read a list.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Capability;

/// The order in which a list is read. A run chooses the order by its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// The whole list is read.
    Whole,
    /// Only the records that changed are read, by the filter of the list.
    Filtered,
    /// The newest change is read first, down to the beginning of the window.
    NewestFirst,
}

/// The order of the calls for a list. The table in the module documentation says which rows each strategy can lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strategy {
    /// Every call reads page 1, oldest change first; the filter moves.
    MovingFilter,
    /// The pages are read one after the other, newest change first.
    NewestFirst,
    /// The pages of the filtered list are read one after the other, in the list's own order.
    Filtered,
    /// The pages of the whole list are read one after the other, in the list's own order.
    Whole,
}

impl Strategy {
    /// Returns the strategy for this order, or the safest strategy that the list supports.
    pub(super) fn of(order: ListOrder, capability: Capability, since: Option<OffsetDateTime>) -> Self {
        if order == ListOrder::Whole { Self::Whole } else { Self::safest(capability, since) }
    }

    /// Returns the safest strategy that the list supports.
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
