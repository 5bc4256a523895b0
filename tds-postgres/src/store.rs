//! The store: one value that implements every port of the engine on PostgreSQL.

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::runs::RunId;
use tokio::{sync::Notify, time::Instant};

use crate::{Database, claim_cursor::ClaimCursors, error, ingest::Committers, notifier::Notifier};

/// How often a transaction is repeated after a deadlock or a serialization failure; after a wait for a lock that
/// somebody holds for long; and after it reached a server that takes no writes, which another connection may not.
const REPEATS: u32 = 8;
const LOCKED_REPEATS: u32 = 2;
/// The same where a person asked for it: a wait for a lock lasts a second, and the triggers of `tds_sync_queue` wait for ten
/// seconds as well.
const LOCKED_REPEATS_FOR_OPERATORS: u32 = 9;
const READ_ONLY_REPEATS: u32 = 2;
/// How long a batch looks for those of its parts that nobody has locked.
const SEARCH: Duration = Duration::from_secs(2);

/// Settings of a transaction whose statements go by indexes, whatever the statistics say: those of a queue are of a moment
/// when it was empty, or full. `jit` would compile what it takes for expensive.
pub(crate) const BY_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
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

/// Executes a transaction that concerns one thing: once more after a deadlock, a serialization failure or a wait for a
/// lock.
pub(crate) async fn repeat<T, F>(transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    repeat_locked(LOCKED_REPEATS, transaction).await
}

/// As [`repeat`], for what an operator asked for: other operators' statements may hold locks for seconds.
pub(crate) async fn repeat_for_operator<T, F>(transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    repeat_locked(LOCKED_REPEATS_FOR_OPERATORS, transaction).await
}

async fn repeat_locked<T, F>(repeats: u32, mut transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut locked = 0;
    loop {
        match repeat_batch(&mut transaction).await {
            Err(fault) if locked < repeats && error::is_locked(&fault) => locked += 1,
            result => return result,
        }
    }
}

/// Executes the transaction of a batch: as [`repeat`], but a lock is not waited for again, because the whole batch would
/// wait for one of its parts. See [`around_locks`].
pub(crate) async fn repeat_batch<T, F>(mut transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let (mut repeats, mut read_only) = (0, 0);
    loop {
        let fault = match transaction().await {
            Err(fault) => fault,
            result => return result,
        };
        if repeats < REPEATS && error::is_retryable(&fault) {
            repeats += 1;
        } else if read_only < READ_ONLY_REPEATS && error::is_read_only(&fault) {
            read_only += 1;
        } else {
            return Err(fault);
        }
        tracing::debug!(error = %fault, repeats, "transaction is repeated");
        tokio::time::sleep(Duration::from_millis(5 << repeats.min(5))).await;
    }
}

/// What became of a batch some of whose parts may be locked.
pub(crate) struct Parted<T> {
    /// What the parts that could be done answered.
    pub(crate) done: Vec<T>,
    /// Those that wait for somebody's lock, and the error that says so.
    pub(crate) locked: Vec<usize>,
    pub(crate) fault: Option<sqlx::Error>,
}

/// Does a batch. Where another session holds a lock that it needs, the batch is halved until what is locked stands
/// alone, so that it costs nobody else more than a moment. Where the search takes too long, as when a whole table is
/// locked, what was not done by then counts as locked.
pub(crate) async fn around_locks<T, F>(
    database: &Database,
    count: usize,
    mut transaction: impl FnMut(Database, Range<usize>) -> F,
) -> Result<Parted<T>, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut parted = Parted { done: Vec::new(), locked: Vec::new(), fault: None };
    let mut since: Option<Instant> = None;
    let mut open = vec![Range { start: 0, end: count }];
    while let Some(range) = open.pop() {
        let database = if since.is_some() { database.hurried() } else { database.clone() };
        match repeat_batch(|| transaction(database.clone(), range.clone())).await {
            Ok(done) => parted.done.push(done),
            Err(fault) if error::is_locked(&fault) => {
                let searching = since.get_or_insert_with(Instant::now).elapsed() < SEARCH;
                if searching && range.len() > 1 {
                    let middle = range.start + range.len() / 2;
                    open.extend([middle..range.end, range.start..middle]);
                } else {
                    parted.locked.extend(range);
                }
                parted.fault = Some(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(parted)
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
