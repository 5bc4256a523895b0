//! Identifiers. Each kind of identifier has its own type, so that the compiler refuses to mix them up.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! numeric_ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    )+};
}

numeric_ids! {
    /// The id of an event in the inbox.
    InboxId,
    /// The id of a queue item. An item keeps its id when it moves to the archive.
    ItemId,
    /// The id of a sync run.
    RunId,
    /// The fencing token of one claim. Each claim, of any item, gets a greater token than all claims before it.
    LeaseToken,
    /// The id of an entry of the outbox. Ids increase in the order in which changes were captured, which need not be the
    /// order in which their transactions committed.
    OutboxId,
    /// The id of a conflict.
    ConflictId,
}

/// The id of a record at the source. The id is always kept as text: a float cannot represent ids of 19 digits exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(String);

impl RecordId {
    /// Creates an id from the text that the source uses.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the id as the source spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RecordId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for RecordId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The name under which a process holds leases. A process takes a new name at every start.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl WorkerId {
    /// Creates a name that no other process has.
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
