//! Modes of entity types.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{
    each,
    names::{ModeName, PolicyName},
};
use crate::app::directions::{ModeView, mode_name, policy_name};

wire! {
    /// The modes of the entity types
    ModeList from modes: Vec<ModeView> {
        modes: Vec<SyncDirection> = each(modes),
    }

    /// The mode of an entity type, and what decides its conflicts
    SyncDirection from view: ModeView {
        entity_type: String = view.mode.entity.to_string(),
        #[schema(inline, value_type = ModeName)]
        mode: &'static str = mode_name(view.mode.mode),
        #[schema(inline, value_type = PolicyName)]
        conflict_policy: &'static str = policy_name(view.mode.policy),
        /// The policies of single columns and child tables
        #[schema(value_type = BTreeMap<String, String>)]
        field_policies: BTreeMap<String, &'static str> =
            view.mode.fields.into_iter().map(|(field, policy)| (field, policy_name(policy))).collect(),
        /// Increases with every change of the mode
        epoch: i64 = view.mode.epoch,
        /// When the mode was last changed; null if it never was
        #[serde(with = "time::serde::rfc3339::option")]
        changed_at: Option<OffsetDateTime> = view.mode.changed_at,
        /// Whether TDS can write records of the type to Zoho. If not, `zoho_primary` is their only mode
        writable: bool = view.is_writable,
    }
}
