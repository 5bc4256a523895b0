//! The maintenance of the queue and the inbox.

use std::time::Duration;

use async_trait::async_trait;

use tds_core::{
    error::Result,
    queue::{Healed, QueueMaintenance},
};

use super::{heal, prune};
use crate::{PgStore, db::error::classify};

#[async_trait]
impl QueueMaintenance for PgStore {
    async fn prunable(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        let counted = prune::count(&self.database, age, dead_letters).await;
        counted.map_err(|error| classify(error, "counting what can be deleted"))
    }

    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        prune::prune(&self.database, age, dead_letters)
            .await
            .map_err(|error| classify(error, "deleting what is old"))
    }

    async fn heal(&self, age: Duration, within: Option<Duration>) -> Result<Healed> {
        heal::heal(&self.database, age, within)
            .await
            .map_err(|error| classify(error, "looking for waiters without items"))
    }
}
