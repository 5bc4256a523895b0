//! Broken histories.

use std::sync::Arc;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    history::{History, HistoryWindow, RecordHistory},
    memory::MemoryStore,
    mirror::MirrorSchema,
    record::{EntityType, RecordId},
    testkit::conformance::Stores,
};

use crate::memory::Memory;

struct Vague(MemoryStore);

#[async_trait]
impl RecordHistory for Vague {
    async fn history(
        &self,
        schema: &MirrorSchema,
        id: &RecordId,
        addresses: &[EntityType],
        window: &HistoryWindow,
    ) -> Result<Option<History>> {
        let mut history = self.0.history(schema, id, addresses, window).await?;
        history.iter_mut().flat_map(|history| &mut history.entries).for_each(|entry| entry.changed.clear());
        Ok(history)
    }
}

/// Does not say what changed.
pub(super) fn vague(memory: &Memory, stores: &mut Stores) {
    stores.history = Some(Arc::new(Vague(memory.store.clone())));
}
