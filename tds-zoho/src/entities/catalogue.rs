//! The list of entity types that a program knows.

use std::{fmt, sync::Arc};

use tds_core::{mirror::MirrorSchema, record::EntityType};

use super::{Descriptor, Modules, Webhooks, ZOHO, hiding::Hiding};

/// The entity types that a program knows, in their order. The default catalogue has the types of TDS;
/// [`Catalogue::with`] adds one more. Clones share the list.
#[derive(Clone)]
pub struct Catalogue {
    descriptors: Arc<[&'static Descriptor]>,
    modules: Arc<Modules>,
    /// The entity types that are synced; `None` if all are.
    synced: Option<Arc<[EntityType]>>,
    hiding: Hiding,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::of(ZOHO.to_vec())
    }
}

impl Catalogue {
    /// The names in the predecessor's paths of webhooks that belong to no entity type of TDS. The inbox keeps events of
    /// these names. An entity type may take over such a name: see [`super::Webhooks::predecessor`].
    pub const UNHANDLED: [&'static str; 1] = ["users"];

    fn of(descriptors: Vec<&'static Descriptor>) -> Self {
        let modules = Arc::new(Modules::of(&descriptors));
        Self { modules, descriptors: descriptors.into(), synced: None, hiding: Hiding::default() }
    }

    /// Returns the same catalogue with one more entity type at its end. The new type replaces a type of the same name.
    #[must_use]
    pub fn with(&self, descriptor: &'static Descriptor) -> Self {
        let others = self.iter().filter(|known| known.entity() != descriptor.entity());
        let (synced, hiding) = (self.synced.clone(), self.hiding.clone());
        Self { synced, hiding, ..Self::of(others.chain([descriptor]).collect()) }
    }

    /// Returns the same catalogue, of which only these entity types are synced. The other types are still known: their
    /// webhooks arrive and are ignored, and nothing lists or reads them.
    #[must_use]
    pub fn syncing(&self, entities: impl IntoIterator<Item = EntityType>) -> Self {
        Self { synced: Some(entities.into_iter().collect()), ..self.clone() }
    }

    pub(super) fn hiding(&self, hiding: Hiding) -> Self {
        Self { hiding, ..self.clone() }
    }

    /// Returns the columns whose values are not kept.
    #[must_use]
    pub fn hidden_values(&self) -> &Hiding {
        &self.hiding
    }

    /// Returns true if the entity type is known and synced.
    #[must_use]
    pub fn is_synced(&self, entity: &EntityType) -> bool {
        self.find(entity).is_some() && self.synced.as_ref().is_none_or(|synced| synced.contains(entity))
    }

    /// Iterates over the entity types that are synced, in their order.
    pub fn synced(&self) -> impl Iterator<Item = &'static Descriptor> + '_ {
        self.iter().filter(|descriptor| self.is_synced(descriptor.entity()))
    }

    /// Returns the entity type that reads a record that arrived for this entity type and states none itself: this
    /// type or, if only its sibling is synced, the sibling. `None` if neither is synced.
    pub(crate) fn reader(&self, descriptor: &Descriptor) -> Option<EntityType> {
        let sibling = descriptor.sibling.map(|sibling| sibling.entity);
        [Some(descriptor.entity()), sibling]
            .into_iter()
            .flatten()
            .find(|entity| self.is_synced(entity))
            .cloned()
    }

    /// Iterates over the entity types, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Descriptor> + '_ {
        self.descriptors.iter().copied()
    }

    /// Returns the descriptor of an entity type, or `None` if the catalogue does not have the type.
    #[must_use]
    pub fn find(&self, entity: &EntityType) -> Option<&'static Descriptor> {
        self.iter().find(|descriptor| descriptor.entity() == entity)
    }

    /// Iterates over the names of the entity types, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.iter().map(Descriptor::name)
    }

    /// Returns the schemas of the entity types that show the records of this one: its own first, then those whose records are
    /// the same ones at Zoho, with the same ids.
    #[must_use]
    pub fn showing(&self, descriptor: &'static Descriptor) -> Vec<&'static MirrorSchema> {
        let is_same = |other: &&'static Descriptor| {
            descriptor.shows.is_some() && other.shows == descriptor.shows && other.name() != descriptor.name()
        };
        [descriptor].into_iter().chain(self.iter().filter(is_same)).map(|it| it.schema).collect()
    }

    /// Returns the paths of webhooks, in the order of the entity types. Each path is the last part of
    /// `/api/zoho/webhooks/{entity}`. Two entity types may share a path.
    #[must_use]
    pub fn webhook_paths(&self) -> Vec<&'static str> {
        let mut paths: Vec<&'static str> = Vec::new();
        for webhooks in self.iter().filter_map(|descriptor| descriptor.webhooks.as_ref()) {
            if !paths.contains(&webhooks.path) {
                paths.push(webhooks.path);
            }
        }
        paths
    }

    /// Returns the entity type whose webhooks arrive at a path. The path may have hyphens or underscores. If two
    /// entity types share the path, the result is the first one, and the record shows which of the two it is.
    #[must_use]
    pub fn of_webhook_path(&self, path: &str) -> Option<&'static Descriptor> {
        let is_path = |own: &str| own == path || own.replace('-', "_") == path;
        self.iter().find(|descriptor| descriptor.webhooks.as_ref().is_some_and(|own| is_path(own.path)))
    }

    /// Returns where webhooks arrive for which the predecessor had an address of this name.
    #[must_use]
    pub fn of_predecessor(&self, name: &str) -> Option<&'static Webhooks> {
        let mut webhooks = self.iter().filter_map(|descriptor| descriptor.webhooks.as_ref());
        webhooks.find(|webhooks| webhooks.predecessor == Some(name))
    }

    pub(crate) fn modules(&self) -> &Modules {
        &self.modules
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entity_types_that_show_the_same_records_are_known_and_the_named_one_comes_first() {
        let catalogue = Catalogue::default();
        let showing = |name: &str| -> Vec<String> {
            let descriptor = catalogue.find(&name.parse().expect("a name")).expect("known");
            catalogue.showing(descriptor).iter().map(|schema| schema.entity.to_string()).collect()
        };
        assert_eq!(showing("customers"), ["customers", "vendors"]);
        assert_eq!(showing("vendors"), ["vendors", "customers"]);
        let mut items = showing("composite_items");
        assert_eq!(items[0], "composite_items");
        items.sort_unstable();
        assert_eq!(items, ["composite_items", "products", "stock"]);
        assert_eq!(showing("invoices"), ["invoices"]);
    }
}
