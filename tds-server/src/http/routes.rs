//! The handlers, one file per noun.

pub(crate) mod budget;
pub(crate) mod bulk_sync;
pub(crate) mod conflicts;
pub(crate) mod credentials;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod metrics;
pub(crate) mod modes;
pub(crate) mod outbox;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod problems;
pub(crate) mod queue;
pub(crate) mod readiness;
pub(crate) mod records;
pub(crate) mod runs;
pub(crate) mod stats;
pub(crate) mod verify;
pub(crate) mod webhooks;
