//! The queue as the operators see it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use time::OffsetDateTime;

use tds_core::{
    error::Result,
    queue::{ItemFilter, ItemId, ItemView, Page, QueueMotion, QueueOperator, QueueStats},
    record::EntityType,
};

use super::PgStore;
use crate::{
    db::error::Doing as _,
    queue::{
        operator::{self, Action},
        stats,
    },
};

#[async_trait]
impl QueueOperator for PgStore {
    async fn list(&self, filter: &ItemFilter, limit: usize, cursor: Option<&str>) -> Result<Page<ItemView>> {
        operator::list(&self.database, filter, limit, cursor).await
    }

    async fn get(&self, id: ItemId) -> Result<Option<ItemView>> {
        operator::get(&self.database, id).await.doing("reading a queue item")
    }

    async fn retry(&self, filter: &ItemFilter) -> Result<u64> {
        let retried = operator::all(&self.database, filter, Action::Retry).await;
        let affected = retried.doing("retrying queue items")?;
        self.work.announce();
        Ok(affected)
    }

    async fn discard(&self, filter: &ItemFilter) -> Result<u64> {
        let discarded = operator::all(&self.database, filter, Action::Discard).await;
        let affected = discarded.doing("discarding queue items")?;
        // Records whose local changes were discarded are read again.
        self.work.announce();
        Ok(affected)
    }

    async fn stats(&self) -> Result<QueueStats> {
        stats::stats(&self.database).await.doing("counting queue items")
    }

    async fn motion(&self) -> Result<QueueMotion> {
        stats::motion(&self.database).await.doing("checking whether the queue moves")
    }

    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()> {
        operator::set_paused(&self.database, entity, paused)
            .await
            .doing("pausing or resuming an entity type")?;
        self.work.announce();
        Ok(())
    }

    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>> {
        operator::paused(&self.database).await.doing("reading which entity types are paused")
    }
}
