//! The store: one value that implements every port of the engine on PostgreSQL.
//!
//! The files of this room implement the traits of the inbox and the queue by functions of those rooms. The other rooms
//! implement their traits themselves.

mod inbox;
mod queue;
mod queue_operator;

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use tds_core::runs::RunId;
use tokio::time::Instant;

use crate::{
    Database,
    inbox::commit::{CommitWatch, Committers, StoreSettings},
    mirror::{catalog::Catalog, schemas::Schemas},
    queue::{claim::ClaimCursors, notifier::Notifier},
};

/// The inbox, the queue, the runs, the schedules, the shared state and the call statistics on PostgreSQL. All clones
/// share the same store.
#[derive(Clone)]
pub struct PgStore {
    pub(crate) database: Database,
    pub(crate) work: Arc<Notifier>,
    pub(crate) cursors: Arc<ClaimCursors>,
    pub(crate) committers: Arc<Committers>,
    /// The time of the last search for queue items whose times are later than the database's clock.
    pub(crate) set_back_at: Arc<Mutex<Option<Instant>>>,
    /// The page (run and page number) whose items were enqueued before the page itself was committed.
    pub(crate) ahead: Arc<Mutex<Option<(RunId, i64)>>>,
    /// The columns of the mirror, of which verifications and pushes read the records.
    pub(crate) catalog: Catalog,
    /// The schemas of the records that were pushed.
    pub(crate) schemas: Schemas,
}

impl PgStore {
    /// Creates a store on a migrated database. The tasks that commit events start with the first event.
    #[must_use]
    pub fn new(database: Database, settings: StoreSettings) -> Self {
        let work = Arc::new(Notifier::new(database.clone()));
        let committers = Arc::new(Committers::new(database.for_ingest(), Arc::clone(&work), settings));
        Self {
            database,
            work,
            cursors: Arc::default(),
            committers,
            set_back_at: Arc::default(),
            ahead: Arc::default(),
            catalog: Catalog::default(),
            schemas: Schemas::default(),
        }
    }

    /// Sets the function that gets each commit of events when it ends. Only the first function is kept.
    pub fn watch_commits(&self, watch: CommitWatch) {
        self.committers.watch(watch);
    }

    /// Stops accepting events. Returns when every accepted event is committed or refused.
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
