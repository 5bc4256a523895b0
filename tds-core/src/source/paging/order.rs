//! The orders in which a list can be read.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Capability;

/// The order in which a run reads a list. The plan of the run chooses the order by its cost. The table in the module
/// documentation says which rows each order can lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOrder {
    /// The pages of the whole list are read one after the other, in the list's own order.
    Whole,
    /// The pages of the filtered list are read one after the other, in the list's own order.
    Filtered,
    /// Every call reads page 1 of the filtered list, oldest change first; the filter moves to the last change seen.
    MovingFilter,
    /// The pages of the whole list are read one after the other, newest change first, down to the beginning of the
    /// window.
    NewestFirst,
}

impl ListOrder {
    /// Returns the order that loses the fewest rows, among the orders that the list supports.
    #[must_use]
    pub fn safest(capability: Capability) -> Self {
        match (capability.filter.is_usable(), capability.sort.is_usable()) {
            (true, true) => Self::MovingFilter,
            (true, false) => Self::Filtered,
            (false, true) => Self::NewestFirst,
            (false, false) => Self::Whole,
        }
    }

    /// Returns this order, or the safest order if the list does not support this one. A list of all records is
    /// read whole.
    pub(super) fn supported(self, capability: Capability, since: Option<OffsetDateTime>) -> Self {
        let supported = (!self.filters() || capability.filter.is_usable())
            && (self.rows() == RowOrder::Own || capability.sort.is_usable());
        match since {
            None => Self::Whole,
            Some(_) if supported => self,
            Some(_) => Self::safest(capability),
        }
    }

    pub(super) fn filters(self) -> bool {
        matches!(self, Self::MovingFilter | Self::Filtered)
    }

    /// Returns the order of the rows in each call of this order.
    pub(super) fn rows(self) -> RowOrder {
        match self {
            Self::Whole | Self::Filtered => RowOrder::Own,
            Self::MovingFilter => RowOrder::OldestChange,
            Self::NewestFirst => RowOrder::NewestChange,
        }
    }
}

/// The order of the rows in the answer to one call for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// The order in which rows move least while the list is read: by creation, if the list supports it.
    Own,
    /// By the time of the last change, ascending.
    OldestChange,
    /// By the time of the last change, descending.
    NewestChange,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::source::Ability::{Documented, Proven, Refuted, Unknown};

    #[test]
    fn a_list_order_needs_abilities_that_are_documented_or_proven() {
        let since = Some(datetime!(2026-11-01 12:00 UTC));
        let of = |filter, sort| ListOrder::MovingFilter.supported(Capability { filter, sort }, since);
        assert_eq!(of(Documented, Proven), ListOrder::MovingFilter);
        assert_eq!(of(Unknown, Documented), ListOrder::NewestFirst);
        assert_eq!(of(Refuted, Proven), ListOrder::NewestFirst);
        assert_eq!(of(Proven, Unknown), ListOrder::Filtered);
        assert_eq!(of(Documented, Refuted), ListOrder::Filtered);
        assert_eq!(of(Unknown, Refuted), ListOrder::Whole);
        let both = Capability { filter: Proven, sort: Proven };
        assert_eq!(ListOrder::MovingFilter.supported(both, None), ListOrder::Whole);
    }
}
