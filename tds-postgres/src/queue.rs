//! The queue: its items, their waiters and their leases.

pub(crate) mod claim;
pub(crate) mod events;
pub(crate) mod fold;
pub(crate) mod heal;
pub(crate) mod lease;
pub(crate) mod notifier;
pub(crate) mod operator;
#[cfg(all(test, feature = "testkit"))]
mod plan;
pub(crate) mod settle;
pub(crate) mod stats;
