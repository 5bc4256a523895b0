//! Broken erasures.

use std::sync::Arc;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    memory::MemoryStore,
    mirror::MirrorSchema,
    privacy::{ErasedFile, Eraser, Erasure},
    record::{EntityType, RecordId, RecordKey},
    testkit::conformance::Stores,
};

use crate::memory::Memory;

struct Brief(MemoryStore);

#[async_trait]
impl Eraser for Brief {
    async fn erase(&self, schemas: &[&MirrorSchema], id: &RecordId, by: &str) -> Result<Option<Erasure>> {
        let erasure = self.0.erase(schemas, id, by).await?;
        let entities: Vec<EntityType> = schemas.iter().map(|schema| schema.entity.clone()).collect();
        self.0.allow_return(&entities, id, by).await?;
        Ok(erasure)
    }

    async fn allow_return(&self, entities: &[EntityType], id: &RecordId, by: &str) -> Result<bool> {
        self.0.allow_return(entities, id, by).await
    }

    async fn files(&self, key: &RecordKey) -> Result<Vec<ErasedFile>> {
        self.0.files(key).await
    }

    async fn forget_files(&self, key: &RecordKey) -> Result<()> {
        self.0.forget_files(key).await
    }

    async fn erasure(&self, entity: &EntityType, id: &RecordId) -> Result<Option<Erasure>> {
        self.0.erasure(entity, id).await
    }
}

/// Removes what is there, and lets later reads bring it back.
pub(super) fn brief(memory: &Memory, stores: &mut Stores) {
    stores.eraser = Some(Arc::new(Brief(memory.store.clone())));
}
