//! The registry of entity types.

use std::{collections::BTreeMap, sync::Arc};

use crate::{handler::BatchHandler, queue::Direction, record::EntityType, source::Source};

/// The handlers and sources of a process. An entity type is added with one call for each.
#[derive(Clone, Default)]
pub struct Registry {
    handlers: BTreeMap<(Direction, EntityType), Arc<dyn BatchHandler>>,
    sources: BTreeMap<EntityType, Arc<dyn Source>>,
}

impl Registry {
    /// Adds a handler. It replaces a handler of the same entity type and direction that was added before.
    #[must_use]
    pub fn with_handler(mut self, handler: Arc<dyn BatchHandler>) -> Self {
        self.handlers.insert((handler.direction(), handler.entity().clone()), handler);
        self
    }

    /// Adds a source, whose list can then be read by runs.
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn Source>) -> Self {
        self.sources.insert(source.schema().entity.clone(), source);
        self
    }

    /// Returns the handler of an entity type and direction.
    #[must_use]
    pub fn handler(&self, direction: Direction, entity: &EntityType) -> Option<&Arc<dyn BatchHandler>> {
        self.handlers.get(&(direction, entity.clone()))
    }

    /// Returns the source of an entity type.
    #[must_use]
    pub fn source(&self, entity: &EntityType) -> Option<&Arc<dyn Source>> {
        self.sources.get(entity)
    }

    /// Returns every entity type that has a handler of inbound work, in order.
    pub fn entities(&self) -> impl Iterator<Item = &EntityType> {
        self.handlers
            .keys()
            .filter(|(direction, _)| *direction == Direction::Inbound)
            .map(|(_, entity)| entity)
    }

    /// Returns every entity type that has a source, in order.
    pub fn polled(&self) -> impl Iterator<Item = &EntityType> {
        self.sources.keys()
    }
}
