//! Modes: which side of an entity type is written, and who wins a conflict.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::column_of;
use crate::{closed_set::closed_set, error::Error, record::EntityType};

closed_set! {
    /// The direction in which an entity type is synced.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Mode {
        /// The target follows the source. Nobody but the engine writes the target.
        #[default]
        SourcePrimary = "source_primary",
        /// Local changes are allowed and captured. What would be pushed is computed and kept, and no call is made. The
        /// versions of the source win.
        Shadow = "shadow",
        /// Both sides are written.
        Bidirectional = "bidirectional",
        /// The source follows the target. Changes that others make at the source are not applied; a verification reports
        /// them as drift.
        TargetPrimary = "target_primary",
    }
}

impl Mode {
    /// Returns true if local changes are written to the source.
    #[must_use]
    pub fn pushes(self) -> bool {
        matches!(self, Self::Bidirectional | Self::TargetPrimary)
    }
}

closed_set! {
    /// What decides when both sides changed a field since their last common state.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ConflictPolicy {
        /// The value of the source stays.
        SourceWins = "source_wins",
        /// The value of the target stays.
        TargetWins = "target_wins",
        /// The value of the later change stays. The version of the source has whole seconds; in a tie the source wins.
        NewestWins = "newest_wins",
        /// A person decides. Until then the push waits, and both sides keep their values.
        #[default]
        Manual = "manual",
    }
}

/// The mode of an entity type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityMode {
    /// The entity type.
    pub entity: EntityType,
    /// The direction of the sync.
    pub mode: Mode,
    /// What decides conflicts of fields that `fields` does not name.
    pub policy: ConflictPolicy,
    /// What decides conflicts of single columns and child tables.
    pub fields: BTreeMap<String, ConflictPolicy>,
    /// Increases with every change of the mode. Results of pushes of an earlier epoch are refused.
    pub epoch: i64,
    /// When the mode was last changed; `None` if it never was.
    pub changed_at: Option<OffsetDateTime>,
}

impl EntityMode {
    /// Returns the mode of an entity type whose mode was never set.
    #[must_use]
    pub fn initial(entity: EntityType) -> Self {
        Self {
            entity,
            mode: Mode::default(),
            policy: ConflictPolicy::default(),
            fields: BTreeMap::new(),
            epoch: 1,
            changed_at: None,
        }
    }

    /// Returns what decides conflicts of a field. `field` is the name of a column or, for a field of a child row, begins
    /// with the name of the child table, such as `invoice_lines[1].rate`.
    #[must_use]
    pub fn policy_of(&self, field: &str) -> ConflictPolicy {
        self.fields.get(field).or_else(|| self.fields.get(column_of(field))).copied().unwrap_or(self.policy)
    }
}

/// A change of a mode. `None` keeps what is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// The entity type.
    pub entity: EntityType,
    /// The new direction.
    pub mode: Option<Mode>,
    /// The new policy.
    pub policy: Option<ConflictPolicy>,
    /// The new policies of single fields, which replace all of them.
    pub fields: Option<BTreeMap<String, ConflictPolicy>>,
    /// The epoch that the change is based on. If the mode has another epoch, the change is refused.
    pub epoch: Option<i64>,
}

/// Returns the error of a change to a mode that writes nothing to the source, while local changes are pending.
#[doc(hidden)]
#[must_use]
pub fn still_pending(entity: &EntityType, changes: u64) -> Error {
    Error::conflict(format!(
        "{changes} local changes of {entity} are pending, and the new mode would not write them: wait for them, decide \
         their conflicts, or discard their pushes; to stop pushes at once, pause {entity}"
    ))
}
