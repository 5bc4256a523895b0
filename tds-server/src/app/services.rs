//! The parts that the use cases work on.

use std::sync::Arc;

use tds_core::{
    clock::Clock,
    engine::Registry,
    inbox::{Inbox, InboxOperator},
    queue::QueueOperator,
    runs::SyncRunOperator,
};
use tds_zoho::{ZohoClient, entities::Catalogue};

/// The parts, each by what it does rather than by what it is. Clones share everything.
#[derive(Clone)]
pub struct Services {
    /// Takes webhooks.
    pub inbox: Arc<dyn Inbox>,
    /// Shows and replays them.
    pub events: Arc<dyn InboxOperator>,
    /// Shows and changes queue items.
    pub queue: Arc<dyn QueueOperator>,
    /// The ledger of runs.
    pub runs: Arc<dyn SyncRunOperator>,
    /// The entity types of Zoho that the program knows.
    pub catalogue: Catalogue,
    /// Which entity types exist.
    pub registry: Registry,
    /// Zoho.
    pub zoho: ZohoClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
}
