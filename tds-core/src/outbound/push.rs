//! A push: what is pending of one record, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{EntityMode, FieldConflict, LocalRecord, OutboxId, Sent, Side, Values, column_of};
use crate::{
    closed_set::closed_set,
    error::{Error, Retry},
    mirror::FieldDifference,
    record::{ContentHash, EntityType, Fields, Payload, RecordId, Shape},
};

closed_set! {
    /// What is to be done at the source.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Operation {
        /// The record is created or changed.
        Upsert = "upsert",
        /// The record is removed.
        Delete = "delete",
    }
}

/// What connects a local record with the record at the source. The local id, the key and the id at the source are each
/// unique within an entity type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Our key: the text of a UUID that never changes.
    pub key: String,
    /// The id at the source, if the record is known to exist there.
    pub remote_id: Option<RecordId>,
    /// When a create was sent whose outcome is not known. Such a create is never repeated without a search.
    pub in_doubt_since: Option<OffsetDateTime>,
}

/// Everything that is needed to push one record. All of it was read in one state of the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The entity type of the record.
    pub entity: EntityType,
    /// The local id of the record.
    pub local_id: i64,
    /// The connection with the source.
    pub link: Link,
    /// The operation of the newest pending change. A record whose row is gone or is a tombstone is removed, whatever
    /// its changes say.
    pub operation: Operation,
    /// The pending changes, in order.
    pub changes: Vec<OutboxId>,
    /// The columns and child tables that changed; `None`: any of them.
    pub fields: Option<BTreeSet<String>>,
    /// When the newest pending change was captured.
    pub changed_at: OffsetDateTime,
    /// The record as it is now; `None` if its row is gone.
    pub record: Option<LocalRecord>,
    /// What the source sent last, and how much of the record it shows; `None` if both sides have no common state: the push
    /// that created the record has not ended. It is the last common state of everything that no change was about when it
    /// came.
    pub base: Option<(Payload, Shape)>,
    /// The earlier states that are the last common ones of what changes were about, oldest first.
    pub earlier: Vec<Earlier>,
    /// The values of the last common state where no state of the source has them all: a push has ended without writing what
    /// the source won, because the target had changed it again.
    pub kept: Values,
    /// What was sent of the record since that state, oldest first: the answers are not known.
    pub sent: Vec<Sent>,
    /// The mode of the entity type.
    pub mode: EntityMode,
    /// What a person decided on conflicts of the pending changes: the field, the value of the source that the decision
    /// was about, and the side that wins. A decision on a field that the target changed again is left out: it was about
    /// another value.
    pub decisions: BTreeMap<String, (Value, Side)>,
    /// The number of conflicts of the record that persons have decided.
    pub decided: u64,
}

/// What the source sent before changes of the target were pending, kept when the mirror accepted something newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The record, in the source's words.
    pub raw: String,
    /// How much of the record it shows.
    pub shape: Shape,
    /// The columns and child tables that the changes were about; `None`: all.
    pub names: Option<BTreeSet<String>>,
}

impl Push {
    /// Returns true if the pending changes are about a column or a child table.
    #[must_use]
    pub fn is_about(&self, name: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains(name))
    }
}

impl Earlier {
    /// Returns the states that are left after a push has ended: those of what later changes are about and the push was not.
    /// `later`: what they are about; `None`: all.
    #[must_use]
    pub fn after(states: &[Self], push: &Push, later: Option<&BTreeSet<String>>) -> Vec<Self> {
        let Some(own) = &push.fields else { return Vec::new() };
        let left = |state: &Self| {
            let names = match (&state.names, later) {
                (None, None) => None,
                (Some(names), None) | (None, Some(names)) => Some(names - own),
                (Some(names), Some(later)) => Some(&(names & later) - own),
            };
            let is_any = names.as_ref().is_none_or(|names| !names.is_empty());
            is_any.then(|| Self { names, ..state.clone() })
        };
        states.iter().filter_map(left).collect()
    }

    /// Adds an earlier state, unless there is one for all that its changes are about.
    pub fn keep(self, states: &mut Vec<Self>, kept: &Values) {
        let has = |name: &String| {
            kept.has(name) || states.iter().flat_map(|state| &state.names).any(|names| names.contains(name))
        };
        let is_known = states.iter().any(|state| state.names.is_none())
            || self.names.as_ref().is_some_and(|names| names.iter().all(has));
        if !is_known {
            states.push(self);
        }
    }
}

/// The end of a push.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The source has the changes.
    Pushed,
    /// There was nothing to write.
    Unchanged,
    /// The mode is `shadow`: nothing was written.
    Shadow,
    /// A person has to decide the conflicts. The changes stay pending in that state.
    Parked,
}

/// Returns the error of a settlement by a record that is not the one that the mirror has accepted last.
#[doc(hidden)]
#[must_use]
pub fn overtaken(push: &Push) -> Error {
    let text = format!(
        "{} {} was changed at the source while it was pushed, so it is merged again",
        push.entity, push.local_id
    );
    Error::conflict(text).with_retry(Retry::Transient { retry_after: None })
}

/// Leaves out the decisions on columns and child tables that a later change is about. `fields`: what the change is about;
/// `None`: any column.
pub fn forget_decisions(decisions: &mut BTreeMap<String, (Value, Side)>, fields: Option<&BTreeSet<String>>) {
    decisions.retain(|field, _| fields.is_some_and(|fields| !fields.contains(column_of(field))));
}

/// What became of a push, to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// The end of the push.
    pub settled: Settled,
    /// What was written, or would have been written.
    pub differences: Vec<FieldDifference>,
    /// The columns of the head row in which the source won. They are written to the target.
    pub take: Fields,
    /// The child tables in which the source won, or whose rows were merged. Their rows are replaced.
    pub take_rows: BTreeMap<String, Vec<Fields>>,
    /// The base's values of `take` and `take_rows`, unless the push has written them.
    pub before: Values,
    /// The conflicts that were decided, or that a person has to decide.
    pub conflicts: Vec<FieldConflict>,
    /// The record that the push goes by and that the mirror has accepted; `None`: the push does not go by one.
    pub accepted: Option<ContentHash>,
    /// What an operator should know.
    pub note: Option<String>,
}

impl Settlement {
    /// Creates a settlement without differences and conflicts.
    #[must_use]
    pub fn new(settled: Settled) -> Self {
        Self {
            settled,
            differences: Vec::new(),
            take: Fields::new(),
            take_rows: BTreeMap::new(),
            before: Values::default(),
            conflicts: Vec::new(),
            accepted: None,
            note: None,
        }
    }
}
