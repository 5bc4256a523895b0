//! The schemas of the entity types that are pushed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tds_core::{lock::lock, mirror::MirrorSchema, record::EntityType};

/// The schemas of the records that were loaded. A push names its entity type only. All clones share the schemas.
#[derive(Clone, Default)]
pub(crate) struct Schemas(Arc<Mutex<HashMap<EntityType, MirrorSchema>>>);

impl Schemas {
    pub(crate) fn remember(&self, schema: &MirrorSchema) {
        let mut known = lock(&self.0);
        if known.get(&schema.entity) != Some(schema) {
            known.insert(schema.entity.clone(), schema.clone());
        }
    }

    pub(crate) fn of(&self, entity: &EntityType) -> Option<MirrorSchema> {
        lock(&self.0).get(entity).cloned()
    }
}
