//! The parts that the use cases work on.

use std::sync::Arc;

use tds_core::{
    clock::Clock,
    engine::Registry,
    inbox::{Inbox, InboxOperator},
    queue::{QueueMaintenance, QueueOperator},
    runs::SyncRunOperator,
};
use tds_zoho::{ZohoClient, entities::Catalogue};

/// The parts of the application, mostly as traits. Clones share everything.
#[derive(Clone)]
pub struct Services {
    /// Accepts webhooks.
    pub inbox: Arc<dyn Inbox>,
    /// Shows and replays inbox events.
    pub events: Arc<dyn InboxOperator>,
    /// Shows and changes queue items.
    pub queue: Arc<dyn QueueOperator>,
    /// Prunes and repairs the queue and the inbox.
    pub maintenance: Arc<dyn QueueMaintenance>,
    /// Shows and changes sync runs.
    pub runs: Arc<dyn SyncRunOperator>,
    /// The entity types of Zoho that the program knows.
    pub catalogue: Catalogue,
    /// The registered entity types, with their sources and handlers.
    pub registry: Registry,
    /// The client of Zoho.
    pub zoho: ZohoClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}
