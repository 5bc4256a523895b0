//! Shared documents that lose what another process wrote.

use std::sync::Arc;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    limits::shared_state::{Document, SharedState},
    memory::MemoryStore,
    testkit::conformance::Stores,
};

use crate::memory::Memory;

/// Writes a document whatever version it has at that time.
struct Overwriting(MemoryStore);

pub(super) fn overwrites(intact: &Memory, stores: &mut Stores) {
    stores.shared = Arc::new(Overwriting(intact.store.clone()));
}

#[async_trait]
impl SharedState for Overwriting {
    async fn load(&self, name: &str) -> Result<Document> {
        let document = self.0.load(name).await;
        // Another process can run between the read and the write.
        tokio::task::yield_now().await;
        document
    }

    async fn swap(&self, name: &str, _version: u64, text: &str) -> Result<bool> {
        let now = self.0.load(name).await?.version;
        self.0.swap(name, now, text).await
    }
}
