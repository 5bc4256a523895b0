//! The inbox: events, and the work that follows from them.

pub(crate) mod commit;
pub(crate) mod ingest;
mod operator;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    inbox::{Accepted, Inbox, NewEvent},
};

use crate::PgStore;

#[async_trait]
impl Inbox for PgStore {
    async fn accept(&self, event: NewEvent) -> Result<Accepted> {
        self.committers.accept(event).await
    }
}
