//! The capability of a list: what the list can do.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    closed_set::closed_set,
    error::Result,
    limits::shared_state::{self, SharedState},
    record::EntityType,
};

closed_set! {
    /// Whether a list does what a request asks for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Ability {
        /// The ability is not documented and was not tried.
        #[default]
        Unknown = "unknown",
        /// The ability is documented and was not tried.
        Documented = "documented",
        /// The ability was tried, and the list has it.
        Proven = "proven",
        /// The ability was tried, and the list does not have it, whatever is documented.
        Refuted = "refuted",
    }
}

impl Ability {
    /// Returns true if the ability may be used, as long as no answer contradicts it.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Documented | Self::Proven)
    }
}

/// What the list of an entity type can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Listing only records that changed at or after a time. Sources ask for a time one second earlier, so that it
    /// does not matter whether the list includes the boundary.
    pub filter: Ability,
    /// Sorting by the time of the last change, in both directions.
    pub sort: Ability,
}

impl Capability {
    /// The capability of a list about which nothing is documented.
    pub const UNKNOWN: Self = Self { filter: Ability::Unknown, sort: Ability::Unknown };
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "filter {}, sort {}", self.filter, self.sort)
    }
}

/// Facts about the list of an entity type that answers of the source have shown. The store keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListFacts {
    /// The capability that a probe or a contradicting answer found; `None` if only the documentation is known.
    pub capability: Option<Capability>,
    /// When the list was last probed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub probed_at: Option<OffsetDateTime>,
    /// The longest lag that was seen, in seconds. The lag of a change is the time from the change to the cursor of the
    /// first run that listed the change.
    pub lag_seconds: u32,
}

/// The longest overlap that the window gets because of rows that appear late in the list.
const LONGEST_OVERLAP: Duration = Duration::from_secs(3600);

impl ListFacts {
    /// Loads the facts about the list of an entity type.
    pub(crate) async fn load(shared: &dyn SharedState, entity: &EntityType) -> Result<Self> {
        Ok(shared_state::read(shared, &document_of(entity)).await?.0)
    }

    /// Stores the facts. They replace the facts that were stored before.
    pub(crate) async fn store(self, shared: &dyn SharedState, entity: &EntityType) -> Result<()> {
        shared_state::change(shared, &document_of(entity), |facts, _| *facts = self).await
    }

    /// Returns true while the capability need not be probed again.
    #[must_use]
    pub fn is_fresh(&self, now: OffsetDateTime, max_age: Duration) -> bool {
        self.probed_at.is_some_and(|probed| now - probed < max_age)
    }

    /// Returns how far before the cursor a window begins: twice the longest lag that was seen, at most one hour, and
    /// at least `least`.
    #[must_use]
    pub fn overlap(&self, least: Duration) -> Duration {
        let twice = Duration::from_secs(u64::from(self.lag_seconds) * 2);
        twice.min(LONGEST_OVERLAP).max(least)
    }
}

fn document_of(entity: &EntityType) -> String {
    format!("list {entity}")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-01 12:00 UTC);
    const LEAST: Duration = Duration::from_secs(300);

    #[test]
    fn the_overlap_is_twice_the_lag_within_bounds() {
        let overlap = |lag_seconds| ListFacts { lag_seconds, ..ListFacts::default() }.overlap(LEAST);
        assert_eq!([0, 100, 150, 200].map(overlap), [300, 300, 300, 400].map(Duration::from_secs));
        assert_eq!(overlap(1_000_000), LONGEST_OVERLAP);
    }

    #[test]
    fn facts_are_fresh_until_their_age_is_reached() {
        let probed = |probed_at| ListFacts { probed_at, ..ListFacts::default() };
        let week = Duration::from_secs(7 * 86_400);
        assert!(!probed(None).is_fresh(NOW, week));
        assert!(probed(Some(NOW - time::Duration::days(6))).is_fresh(NOW, week));
        assert!(!probed(Some(NOW - time::Duration::days(7))).is_fresh(NOW, week));
    }

    #[test]
    fn facts_in_an_older_form_are_read_with_defaults() {
        let facts: ListFacts = serde_json::from_str("{}").expect("readable");
        assert_eq!(facts, ListFacts::default());
    }
}
