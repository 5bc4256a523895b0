//! What a record moves: the records whose values the source derives from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{EntityType, RecordId, RecordKey};

type Keys = BTreeMap<EntityType, BTreeSet<RecordId>>;

/// The records that a record moves. The source derives values of these records, such as stock and balances, from it,
/// and it does not change the version of these records. A change of the record is therefore the sign to read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// The records that follow a change of the record itself.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    own: Keys,
    /// The records that also follow the derived values of the record. An order is paid when its invoice is paid, and
    /// the invoice is paid by a payment that does not know the order.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    through: Keys,
}

impl Moves {
    /// Adds a record that follows a change of the record itself.
    pub fn add(&mut self, entity: EntityType, id: RecordId) {
        self.own.entry(entity).or_default().insert(id);
    }

    /// Adds a record that also follows the derived values of the record.
    pub fn add_through(&mut self, entity: EntityType, id: RecordId) {
        self.through.entry(entity).or_default().insert(id);
    }

    /// Iterates over all records that the record moves.
    pub fn all(&self) -> impl Iterator<Item = RecordKey> + '_ {
        keys(&self.own).chain(keys(&self.through))
    }

    /// Iterates over the records that also follow the derived values of the record.
    pub fn through(&self) -> impl Iterator<Item = RecordKey> + '_ {
        keys(&self.through)
    }
}

fn keys(keys: &Keys) -> impl Iterator<Item = RecordKey> + '_ {
    keys.iter().flat_map(|(entity, ids)| ids.iter().map(|id| RecordKey::new(entity.clone(), id.clone())))
}

/// How the records that a read moves are read again.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The length of the slots in which such reads are gathered. Time is divided into slots that are the same for all
    /// processes. Reads that are enqueued within a slot are due together when it ends.
    pub slot: Duration,
    /// The entity types that are followed. If the cell is empty, every entity type is followed.
    pub entities: Arc<OnceLock<BTreeSet<EntityType>>>,
    /// The read was made because another record moved this one. What it shows in volatile columns only is then an
    /// effect of that record, which named the other records by itself.
    pub is_derived: bool,
    /// If the read shows no change, the record is read once more after this time, because the source may derive a
    /// value a moment after the change that it follows.
    pub look_again: Option<Duration>,
}

impl Follow {
    /// Returns true if records of the entity type are followed.
    #[must_use]
    pub fn includes(&self, entity: &EntityType) -> bool {
        self.entities.get().is_none_or(|entities| entities.contains(entity))
    }
}

impl PartialEq for Follow {
    fn eq(&self, other: &Self) -> bool {
        self.slot == other.slot
            && self.entities.get() == other.entities.get()
            && self.is_derived == other.is_derived
            && self.look_again == other.look_again
    }
}
