//! Identifiers. Each is a type of its own, so that one cannot stand where another belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::EntityType;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

numeric_id!(
    /// A row of the inbox.
    InboxId
);
numeric_id!(
    /// A queue item. It keeps its id in the archive.
    ItemId
);
numeric_id!(
    /// A sync run.
    RunId
);
numeric_id!(
    /// The fencing token of one claim: grows with every claim of any item, for ever.
    LeaseToken
);

/// A record's id at the source, always text: ids of 19 digits do not survive a float.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(String);

impl RecordId {
    /// Takes an id as the source spells it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as the source spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One record: its kind and its id at the source. The unit of ordering and of mutual exclusion.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// What kind of record.
    pub entity: EntityType,
    /// Its id at the source.
    pub id: RecordId,
}

impl RecordKey {
    /// Puts the two together.
    #[must_use]
    pub fn new(entity: EntityType, id: RecordId) -> Self {
        Self { entity, id }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.entity, self.id)
    }
}

/// The name under which a process holds leases; new at every start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl WorkerId {
    /// A name that no other process has.
    #[must_use]
    pub fn unique() -> Self {
        Self(format!("tds-{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()))
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
