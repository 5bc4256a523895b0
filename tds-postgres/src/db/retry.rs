//! Which transactions are executed again, how often, and what a batch does where a part of it is locked.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use super::{database::Database, error};

/// How often a transaction is repeated after a deadlock or a serialization failure; after a wait for a lock that
/// somebody holds for long; and after it reached a server that takes no writes, which another connection may not.
const REPEATS: u32 = 8;
const LOCKED_REPEATS: u32 = 2;
/// The same where a person asked for it: a wait for a lock lasts a second, and the triggers of `tds_sync_queue` wait for ten
/// seconds as well.
const LOCKED_REPEATS_FOR_OPERATORS: u32 = 9;
const READ_ONLY_REPEATS: u32 = 2;
/// How long a batch looks for those of its parts that nobody has locked.
pub(crate) const SEARCH: Duration = Duration::from_secs(2);

/// Settings of a transaction whose statements go by indexes, whatever the statistics say: those of a queue are of a moment
/// when it was empty, or full. `jit` would compile what it takes for expensive.
pub(crate) const BY_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

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

/// What can be halved: the members of a batch, or their places.
pub(crate) trait Halves: Sized {
    /// How many members there are.
    fn size(&self) -> usize;

    /// The first half and the second one.
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

/// The parts of a batch that are still to be tried. A part that fails because of one of its members is halved until that
/// member stands alone, so that it costs the others no more than a moment.
pub(crate) struct Parts<P> {
    open: Vec<P>,
    search: Duration,
    since: Option<Instant>,
}

impl<P: Halves> Parts<P> {
    /// All of a batch. `search`: how long members that nobody has locked are looked for, from the first lock on.
    pub(crate) fn of(batch: P, search: Duration) -> Self {
        Self { open: vec![batch], search, since: None }
    }

    /// The part that is tried next.
    pub(crate) fn take(&mut self) -> Option<P> {
        self.open.pop()
    }

    /// A part is tried again.
    pub(crate) fn again(&mut self, part: P) {
        self.open.push(part);
    }

    /// The halves of a part that failed are tried; a single member comes back.
    pub(crate) fn halve(&mut self, part: P) -> Option<P> {
        if part.size() < 2 {
            return Some(part);
        }
        let (first, second) = part.halves();
        self.open.extend([second, first]);
        None
    }

    /// As [`Parts::halve`], for a part that met a lock. Where the search takes too long, as when a whole table is locked,
    /// the part comes back.
    pub(crate) fn halve_locked(&mut self, part: P) -> Option<P> {
        self.meet_lock();
        let searching = self.since.is_some_and(|since| since.elapsed() < self.search);
        if searching { self.halve(part) } else { Some(part) }
    }

    /// The search begins with the first lock. True: this is the first.
    pub(crate) fn meet_lock(&mut self) -> bool {
        let is_first = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        is_first
    }

    /// True where a lock was met: the next ones are hardly waited for.
    pub(crate) fn hurries(&self) -> bool {
        self.since.is_some()
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

/// Does a batch in parts, so that nobody waits for a lock that another member of the batch needs. Where the search takes
/// too long, what was not done by then counts as locked.
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
