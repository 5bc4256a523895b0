//! Which entity types exist here.

use std::{collections::BTreeMap, sync::Arc};

use crate::{handler::BatchHandler, record::EntityType, source::Source};

/// The handlers and sources of a process. Adding an entity type is one call of each.
#[derive(Clone, Default)]
pub struct Registry {
    handlers: BTreeMap<EntityType, Arc<dyn BatchHandler>>,
    sources: BTreeMap<EntityType, Arc<dyn Source>>,
}

impl Registry {
    /// Nothing registered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler; a later one of the same entity type takes its place.
    #[must_use]
    pub fn with_handler(mut self, handler: Arc<dyn BatchHandler>) -> Self {
        self.handlers.insert(handler.entity().clone(), handler);
        self
    }

    /// Adds a source that is also polled.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn Source>) -> Self {
        self.sources.insert(source.schema().entity.clone(), source);
        self
    }

    /// The handler of an entity type.
    #[must_use]
    pub fn handler(&self, entity: &EntityType) -> Option<&Arc<dyn BatchHandler>> {
        self.handlers.get(entity)
    }

    /// The source of an entity type.
    #[must_use]
    pub fn source(&self, entity: &EntityType) -> Option<&Arc<dyn Source>> {
        self.sources.get(entity)
    }

    /// Every entity type with a handler, in order.
    pub fn entities(&self) -> impl Iterator<Item = &EntityType> {
        self.handlers.keys()
    }

    /// Every entity type that can be polled, in order.
    pub fn polled(&self) -> impl Iterator<Item = &EntityType> {
        self.sources.keys()
    }
}
