//! Paused entity types.

use std::collections::BTreeMap;

use tds_core::record::EntityType;
use time::OffsetDateTime;

use super::each;

wire! {
    /// Paused entity types
    PausedList from paused: BTreeMap<EntityType, OffsetDateTime> {
        paused: Vec<PausedEntity> = each(paused),
    }

    /// A paused entity type
    PausedEntity from paused: (EntityType, OffsetDateTime) {
        entity_type: String = paused.0.to_string(),
        #[serde(with = "time::serde::rfc3339")]
        since: OffsetDateTime = paused.1,
    }

    /// Whether an entity type is paused
    PauseState from state: (EntityType, bool) {
        entity_type: String = state.0.to_string(),
        paused: bool = state.1,
    }
}
