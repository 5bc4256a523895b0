//! The lanes of the queue and of the budget.

use serde::{Deserialize, Serialize};

use crate::{closed_set::closed_set, record::Origin};

closed_set! {
    /// The lane of work, by the cause of the work. Items of a lane with a lower number are claimed first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Lane {
        /// An operator waits for the work.
        Operator = "operator",
        /// A local change that has to be written to the source.
        Outbound = "outbound",
        /// A pushed event.
        Webhook = "webhook",
        /// A value that the source derives, such as stock or a balance, may have changed because a document did.
        Derived = "derived",
        /// An incremental sync.
        Incremental = "incremental",
        /// A full sync.
        Full = "full",
        /// Verification and repair.
        Verify = "verify",
    }
}

impl Lane {
    /// Returns the number in the column `priority`. Items with a lower number are claimed first. The numbers are
    /// stored, so they never change; a new lane gets a number between its neighbours.
    #[must_use]
    pub fn priority(self) -> i16 {
        match self {
            Self::Operator => 0,
            Self::Outbound => 10,
            Self::Webhook => 20,
            Self::Derived => 25,
            Self::Incremental => 30,
            Self::Full => 40,
            Self::Verify => 50,
        }
    }

    /// Returns the lane of a stored priority.
    #[must_use]
    pub fn from_priority(priority: i16) -> Self {
        Self::ALL.into_iter().rev().find(|lane| lane.priority() <= priority).unwrap_or(Self::Operator)
    }

    /// Returns true for the lanes whose work is waited for: operators' requests, local changes and pushed events.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        self <= Self::Webhook
    }
}

/// Work that is not judged yet is shown by its lane.
impl From<Lane> for Origin {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Operator => Self::Operator,
            Lane::Outbound => Self::Push,
            Lane::Webhook => Self::Webhook,
            Lane::Derived => Self::Detail,
            Lane::Incremental | Lane::Full => Self::List,
            Lane::Verify => Self::Verify,
        }
    }
}
