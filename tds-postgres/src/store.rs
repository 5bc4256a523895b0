//! The store: one value that implements every port of the engine on PostgreSQL.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use tds_core::runs::RunId;
use tokio::{sync::Notify, time::Instant};

use crate::{
    Database,
    inbox::commit::{Committers, StoreSettings},
    queue::{claim::ClaimCursors, notifier::Notifier},
};

/// Inbox, queue, runs and schedules on PostgreSQL. Clones share it.
#[derive(Clone)]
pub struct PgStore {
    pub(crate) database: Database,
    pub(crate) work: Arc<Notifier>,
    /// Rings when a run was asked for in this process.
    pub(crate) runs: Arc<Notify>,
    pub(crate) cursors: Arc<ClaimCursors>,
    pub(crate) committers: Arc<Committers>,
    /// When times later than now were last looked for in the queue.
    pub(crate) set_back_at: Arc<Mutex<Option<Instant>>>,
    /// The page whose work was queued before the page itself.
    pub(crate) ahead: Arc<Mutex<Option<(RunId, i64)>>>,
}

impl PgStore {
    /// A store on a migrated database. The committers start with the first event.
    #[must_use]
    pub fn new(database: Database, settings: StoreSettings) -> Self {
        let work = Arc::new(Notifier::new(database.clone()));
        let committers = Arc::new(Committers::new(database.for_ingest(), Arc::clone(&work), settings));
        Self {
            database,
            work,
            runs: Arc::default(),
            cursors: Arc::default(),
            committers,
            set_back_at: Arc::default(),
            ahead: Arc::default(),
        }
    }

    /// Takes no more events; returns when all accepted ones are committed or refused.
    pub async fn shutdown(&self) {
        self.committers.shutdown().await;
        self.work.shutdown();
    }
}

impl fmt::Debug for PgStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PgStore").field("target", &self.database.target()).finish_non_exhaustive()
    }
}
