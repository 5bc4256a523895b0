//! The parts of a batch, where a member is at fault or another session has locked it.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use super::{database::Database, error, retry::repeat_batch};

/// How long a batch looks for its parts that no other session has locked.
pub(crate) const SEARCH: Duration = Duration::from_secs(2);

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
