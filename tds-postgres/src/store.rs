//! The store: one value that implements every port of the engine on PostgreSQL.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{Database, error, floor::Floors, hints::Hints, ingest::Committers};

/// How often a statement is repeated after a deadlock or a serialization failure.
const REPEATS: u32 = 8;

/// Opens a transaction whose statements go by indexes, whatever the statistics say: those of a queue are of a moment
/// when it was empty, or full. `jit` would compile what it takes for expensive.
pub(crate) const BY_INDEX: &str = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

/// Bounds of the store.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Tasks that commit accepted events, each on a connection of its own.
    pub committers: usize,
    /// Events of one commit at most.
    pub batch_events: usize,
    /// Bytes of one commit at most, but for a single event that is larger.
    pub batch_bytes: usize,
    /// Events that may wait for their commit; beyond that `accept` answers `Unavailable`.
    pub waiting_events: usize,
    /// Bytes that may wait for their commit.
    pub waiting_bytes: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            committers: 2,
            batch_events: 256,
            batch_bytes: 4 << 20,
            waiting_events: 4_096,
            waiting_bytes: 64 << 20,
        }
    }
}

/// Inbox, queue, runs and schedules on PostgreSQL. Clones share it.
#[derive(Clone)]
pub struct PgStore {
    pub(crate) database: Database,
    pub(crate) work: Arc<Hints>,
    /// Rings when a run was asked for in this process.
    pub(crate) runs: Arc<Notify>,
    pub(crate) floors: Arc<Floors>,
    pub(crate) committers: Arc<Committers>,
    /// When times later than now were last looked for in the queue.
    pub(crate) set_back_at: Arc<Mutex<Option<Instant>>>,
}

impl PgStore {
    /// A store on a migrated database. The committers start with the first event.
    #[must_use]
    pub fn new(database: Database, settings: StoreSettings) -> Self {
        let work = Arc::new(Hints::new(database.clone()));
        let committers = Arc::new(Committers::new(database.clone(), Arc::clone(&work), settings));
        Self {
            database,
            work,
            runs: Arc::default(),
            floors: Arc::default(),
            committers,
            set_back_at: Arc::default(),
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

/// Executes a transaction, once more after a deadlock or a serialization failure.
pub(crate) async fn repeat<T, F>(mut transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut repeats = 0;
    loop {
        match transaction().await {
            Err(fault) if repeats < REPEATS && error::is_retryable(&fault) => {
                repeats += 1;
                tracing::debug!(error = %fault, repeats, "transaction is repeated");
                tokio::time::sleep(Duration::from_millis(5 << repeats.min(5))).await;
            }
            result => return result,
        }
    }
}

/// A text without U+0000, which PostgreSQL cannot store.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// The same for every text inside a JSON value.
pub(crate) fn storable_json(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(storable(text).into_owned()),
        Value::Array(items) => Value::Array(items.iter().map(storable_json).collect()),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (storable(name).into_owned(), storable_json(value))).collect(),
        ),
        other => other.clone(),
    }
}

/// Seconds for PostgreSQL's `make_interval`; a century stands for everything longer.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64().min(3_155_760_000.0)
}
