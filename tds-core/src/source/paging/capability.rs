//! What a list can do.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    error::Result,
    limits::shared_state::{self, SharedState},
    record::EntityType,
};

/// Whether a list does what it was asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Not documented, and not tried.
    #[default]
    Unknown,
    /// Documented, and not tried.
    Documented,
    /// Tried: it does.
    Proven,
    /// Tried: it does not, whatever is documented.
    Refuted,
}

impl Ability {
    /// True where it may be relied on, as long as no answer contradicts.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Documented | Self::Proven)
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "unknown",
            Self::Documented => "documented",
            Self::Proven => "proven",
            Self::Refuted => "refuted",
        })
    }
}

/// What the list of an entity type can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Listing only what changed at or after a time. Sources ask for a second earlier, so that it does not
    /// matter whether the list counts the boundary in.
    pub filter: Ability,
    /// Sorting by the time of the last change, both ways.
    pub sort: Ability,
}

impl Capability {
    /// Neither is documented.
    pub const UNKNOWN: Self = Self { filter: Ability::Unknown, sort: Ability::Unknown };
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "filter {}, sort {}", self.filter, self.sort)
    }
}

/// What the lists of an entity type taught; kept by the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListFacts {
    /// What a probe or a contradiction found; `None`: only the documentation is known.
    pub capability: Option<Capability>,
    /// When the list was last probed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub probed_at: Option<OffsetDateTime>,
    /// The longest time, in seconds, after which a change was seen to be listed for the first time.
    pub lag_seconds: u32,
}

/// The window never reaches back further than this for the sake of late rows.
const LONGEST_OVERLAP: Duration = Duration::from_secs(3600);

impl ListFacts {
    /// What is known of the entity type's list.
    pub(crate) async fn load(shared: &dyn SharedState, entity: &EntityType) -> Result<Self> {
        Ok(shared_state::read(shared, &document_of(entity)).await?.0)
    }

    /// Takes the place of what was known.
    pub(crate) async fn store(self, shared: &dyn SharedState, entity: &EntityType) -> Result<()> {
        shared_state::change(shared, &document_of(entity), |facts, _| *facts = self).await
    }

    /// True while the capability need not be probed again.
    #[must_use]
    pub fn is_fresh(&self, now: OffsetDateTime, max_age: Duration) -> bool {
        let age = time::Duration::try_from(max_age).unwrap_or(time::Duration::MAX);
        self.probed_at.is_some_and(|probed| now - probed < age)
    }

    /// How far before the cursor a window begins: twice the longest lag seen, at least `least`.
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
    fn facts_of_an_older_form_are_read_with_what_they_lack() {
        let facts: ListFacts = serde_json::from_str("{}").expect("readable");
        assert_eq!(facts, ListFacts::default());
    }
}
