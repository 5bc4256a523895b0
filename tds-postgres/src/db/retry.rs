//! Decides which transactions are executed again, how many times, and what a batch does where a part of it is locked.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use super::{database::Database, error};

/// How many times a transaction is repeated: `REPEATS` after a deadlock or a serialization failure, `LOCKED_REPEATS`
/// after a wait for a lock that another session holds for long, and `READ_ONLY_REPEATS` after it reached a read-only
/// server. In the last case another connection may reach a server that accepts writes.
const REPEATS: u32 = 8;
const LOCKED_REPEATS: u32 = 2;
/// The repeats after a wait for a lock where an operator asked for the transaction. Each wait for a lock lasts a
/// second, and the triggers of `tds_sync_queue` also wait for ten seconds.
const LOCKED_REPEATS_FOR_OPERATORS: u32 = 9;
const READ_ONLY_REPEATS: u32 = 2;
/// How long a batch looks for its parts that no other session has locked.
pub(crate) const SEARCH: Duration = Duration::from_secs(2);

/// Settings of a transaction whose statements use indexes whatever the statistics say. The statistics of a queue
/// describe a moment when the queue was empty, or full. `jit` would compile statements whose cost the planner
/// overestimates.
pub(crate) const BY_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

/// Executes a transaction that concerns one thing. The transaction is repeated after a deadlock, a serialization
/// failure or a wait for a lock.
pub(crate) async fn repeat<T, F>(transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    repeat_locked(LOCKED_REPEATS, transaction).await
}

/// Like [`repeat`], for the requests of an operator. The statements of other operators may hold locks for seconds.
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

/// Executes the transaction of a batch. Unlike [`repeat`], `repeat_batch` does not wait for a lock again, because the
/// whole batch would wait for one of its parts. See [`around_locks`].
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
        tracing::debug!(error = %fault, repeats, "a transaction is repeated");
        tokio::time::sleep(Duration::from_millis(5 << repeats.min(5))).await;
    }
}

/// A batch that can be halved: its members, or the range of their indexes.
pub(crate) trait Halves: Sized {
    /// Returns the number of members.
    fn size(&self) -> usize;

    /// Returns the first half and the second half.
    fn halves(self) -> (Self, Self);
}

impl Halves for Range<usize> {
    fn size(&self) -> usize {
        self.len()
    }

    fn halves(self) -> (Self, Self) {
        let middle = self.start + self.len() / 2;
        (self.start..middle, middle..self.end)
    }
}

impl<T> Halves for Vec<T> {
    fn size(&self) -> usize {
        self.len()
    }

    fn halves(mut self) -> (Self, Self) {
        let second = self.split_off(self.len() / 2);
        (self, second)
    }
}

/// The parts of a batch that are still to be tried. A part that fails because of one of its members is halved until
/// that member is alone, so that the other members lose no more than a moment.
pub(crate) struct Parts<P> {
    open: Vec<P>,
    search: Duration,
    since: Option<Instant>,
}

impl<P: Halves> Parts<P> {
    /// Creates one part with the whole batch. `search`: how long to look for members that no other session has
    /// locked, counted from the first lock.
    pub(crate) fn of(batch: P, search: Duration) -> Self {
        Self { open: vec![batch], search, since: None }
    }

    /// Returns the part to try next.
    pub(crate) fn take(&mut self) -> Option<P> {
        self.open.pop()
    }

    /// Puts a part back, to be tried again.
    pub(crate) fn again(&mut self, part: P) {
        self.open.push(part);
    }

    /// Puts the halves of a failed part back, to be tried. A part with a single member is returned.
    pub(crate) fn halve(&mut self, part: P) -> Option<P> {
        if part.size() < 2 {
            return Some(part);
        }
        let (first, second) = part.halves();
        self.open.extend([second, first]);
        None
    }

    /// Like [`Parts::halve`], for a part that met a lock. The whole part is returned where the search has taken too
    /// long, for example because another session has locked a whole table.
    pub(crate) fn halve_locked(&mut self, part: P) -> Option<P> {
        self.meet_lock();
        let searching = self.since.is_some_and(|since| since.elapsed() < self.search);
        if searching { self.halve(part) } else { Some(part) }
    }

    /// Starts the search at the first lock. Returns true for the first lock.
    pub(crate) fn meet_lock(&mut self) -> bool {
        let is_first = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        is_first
    }

    /// Returns true after a lock was met. Later parts wait only briefly for a lock.
    pub(crate) fn hurries(&self) -> bool {
        self.since.is_some()
    }
}

/// The result of a batch some of whose parts may be locked.
pub(crate) struct Parted<T> {
    /// The results of the parts that were done.
    pub(crate) done: Vec<T>,
    /// The indexes of the members that wait for a lock of another session. `fault` is the error that says so.
    pub(crate) locked: Vec<usize>,
    pub(crate) fault: Option<sqlx::Error>,
}

/// Executes a batch in parts, so that no member waits for a lock that only another member needs. Where the search
/// takes too long, the members that are not done by then count as locked.
pub(crate) async fn around_locks<T, F>(
    database: &Database,
    count: usize,
    mut transaction: impl FnMut(Database, Range<usize>) -> F,
) -> Result<Parted<T>, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut parted = Parted { done: Vec::new(), locked: Vec::new(), fault: None };
    let mut parts = Parts::of(0..count, SEARCH);
    while let Some(range) = parts.take() {
        let database = if parts.hurries() { database.hurried() } else { database.clone() };
        match repeat_batch(|| transaction(database.clone(), range.clone())).await {
            Ok(done) => parted.done.push(done),
            Err(fault) if error::is_locked(&fault) => {
                parted.locked.extend(parts.halve_locked(range).into_iter().flatten());
                parted.fault = Some(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(parted)
}
