//! The inbox as those see it who deliver events, and as the operators see it.

use std::time::Duration;

use async_trait::async_trait;
use tds_core::{
    error::{Error, Result},
    inbox::{
        Accepted, Deliveries, Disposition, EventFilter, EventView, Inbox, InboxId, InboxOperator, InboxStats,
        NewEvent,
    },
    queue::{Lane, Page},
};

use super::PgStore;
use crate::{
    db::{
        error::Doing as _,
        retry::{FOR_OPERATOR, repeat},
    },
    inbox::{ingest::begin_again, operator},
};

#[async_trait]
impl Inbox for PgStore {
    async fn accept(&self, event: NewEvent) -> Result<Accepted> {
        self.committers.accept(event).await
    }
}

#[async_trait]
impl InboxOperator for PgStore {
    async fn list_events(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<EventView>> {
        operator::list(&self.database, filter, limit, cursor).await
    }

    async fn get_event(&self, id: InboxId) -> Result<Option<EventView>> {
        operator::get(&self.database, id).await.doing("reading an inbox event")
    }

    async fn replay(&self, id: InboxId, disposition: Disposition) -> Result<()> {
        let (database, disposition) = (&self.database, &disposition);
        let found = repeat(FOR_OPERATOR, || begin_again(database, id, disposition, Lane::Operator))
            .await
            .doing("replaying an inbox event")?;
        if !found {
            return Err(Error::not_found(format!("there is no inbox event {id}")));
        }
        self.work.announce();
        Ok(())
    }

    async fn deliveries(&self, within: Duration) -> Result<Deliveries> {
        operator::deliveries(&self.database, within).await
    }

    async fn inbox_stats(&self) -> Result<InboxStats> {
        operator::stats(&self.database).await.doing("counting inbox events")
    }
}
