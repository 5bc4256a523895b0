//! The parts that the use cases work on.

use std::sync::Arc;

use tds_core::{
    clock::Clock,
    engine::Engine,
    error::{Error, Result},
    history::RecordHistory,
    inbox::{Inbox, InboxOperator},
    measures::Measures,
    outbound::{Modes, OutboxOperator},
    queue::{Queue, QueueMaintenance, QueueOperator},
    record::EntityType,
    runs::SyncRunOperator,
    verify::VerifyOperator,
};
use tds_zoho::{
    ZohoClient,
    entities::{Catalogue, Descriptor},
};

/// The ports of the store. Clones share the store.
#[derive(Clone)]
pub struct Ports {
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
    /// Shows verifications.
    pub verify: Arc<dyn VerifyOperator>,
    /// Shows the histories of records.
    pub history: Arc<dyn RecordHistory>,
    /// What the store measures; `None` for a store that measures nothing.
    pub measured: Option<Measured>,
    /// The local changes and the modes; `None` for a store that knows one direction only.
    pub outbound: Option<OutboundPorts>,
}

/// The ports of local changes that go to Zoho.
#[derive(Clone)]
pub struct OutboundPorts {
    /// Shows and changes the modes of the entity types.
    pub modes: Arc<dyn Modes>,
    /// Shows local changes, and shows and decides conflicts.
    pub operator: Arc<dyn OutboxOperator>,
}

/// The ports of the figures over days and weeks.
#[derive(Clone)]
pub struct Measured {
    /// The figures of the queue, the inbox and the server's own answers.
    pub measures: Arc<dyn Measures>,
    /// Takes work that follows from a measurement.
    pub work: Arc<dyn Queue>,
}

impl Ports {
    /// Creates the ports of a store.
    #[must_use]
    pub fn new<S>(store: &S) -> Self
    where
        S: Inbox
            + InboxOperator
            + QueueOperator
            + QueueMaintenance
            + SyncRunOperator
            + VerifyOperator
            + RecordHistory
            + Clone
            + 'static,
    {
        let store = Arc::new(store.clone());
        Self {
            inbox: store.clone(),
            events: store.clone(),
            queue: store.clone(),
            maintenance: store.clone(),
            runs: store.clone(),
            verify: store.clone(),
            history: store,
            measured: None,
            outbound: None,
        }
    }

    /// Returns the figures that the store measures.
    ///
    /// # Errors
    /// The store measures nothing.
    pub(crate) fn measured(&self) -> Result<&Measured> {
        let nothing = || Error::internal("the store of this program keeps no measurements");
        self.measured.as_ref().ok_or_else(nothing)
    }

    /// Returns the ports of local changes.
    ///
    /// # Errors
    /// The store knows one direction only.
    pub(crate) fn outbound(&self) -> Result<&OutboundPorts> {
        let nothing = || Error::internal("the store of this program has no outbox");
        self.outbound.as_ref().ok_or_else(nothing)
    }

    /// Adds the local changes and the modes of a store.
    #[must_use]
    pub fn pushing<S>(mut self, store: &S) -> Self
    where
        S: Modes + OutboxOperator + Clone + 'static,
    {
        let store = Arc::new(store.clone());
        self.outbound = Some(OutboundPorts { modes: store.clone(), operator: store });
        self
    }

    /// Adds the figures that a store measures.
    #[must_use]
    pub fn measuring<S>(mut self, store: &S) -> Self
    where
        S: Measures + Queue + Clone + 'static,
    {
        let store = Arc::new(store.clone());
        self.measured = Some(Measured { measures: store.clone(), work: store });
        self
    }
}

/// The parts of the application. Clones share everything.
#[derive(Clone)]
pub struct Services {
    /// The ports of the store.
    pub ports: Ports,
    /// The entity types of Zoho that the program knows.
    pub catalogue: Catalogue,
    /// The engine, with the registered entity types, their sources and their handlers.
    pub engine: Engine,
    /// The client of Zoho.
    pub zoho: ZohoClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Returns true for an entity type of which the organization has no records, because it does not have Zoho Inventory,
/// as far as this process knows.
pub(crate) fn is_lacking(catalogue: &Catalogue, zoho: &ZohoClient, entity: &EntityType) -> bool {
    catalogue.find(entity).is_some_and(Descriptor::needs_inventory) && zoho.missing_inventory().is_some()
}
