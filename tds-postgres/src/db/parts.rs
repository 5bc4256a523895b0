//! The parts of a batch, when a member is at fault or another session has locked it.

use std::time::Duration;

use tokio::time::Instant;

use super::{database::Database, error, retry};

/// How long a batch looks for its parts that no other session has locked.
pub(crate) const SEARCH: Duration = Duration::from_secs(2);

/// The parts of a batch that are still to be tried. A part that fails because of one of its members is halved until
/// that member is alone, so that the other members lose no more than a moment.
pub(crate) struct Parts<T> {
    open: Vec<Vec<T>>,
    search: Duration,
    since: Option<Instant>,
}

impl<T> Parts<T> {
    /// Creates one part with the whole batch. `search`: how long to look for members that no other session has
    /// locked, counted from the first lock.
    pub(crate) fn of(batch: Vec<T>, search: Duration) -> Self {
        Self { open: vec![batch], search, since: None }
    }

    /// Returns the part to try next.
    pub(crate) fn take(&mut self) -> Option<Vec<T>> {
        self.open.pop()
    }

    /// Puts a part back, to be tried again.
    pub(crate) fn again(&mut self, part: Vec<T>) {
        self.open.push(part);
    }

    /// Puts the halves of a failed part back, to be tried. Returns the member of a part that has no other.
    pub(crate) fn halve(&mut self, mut part: Vec<T>) -> Vec<T> {
        if part.len() < 2 {
            return part;
        }
        let second = part.split_off(part.len() / 2);
        self.open.extend([second, part]);
        Vec::new()
    }

    /// Like [`Parts::halve`], for a part that met a lock. The whole part is returned if the search has taken too
    /// long, for example because another session has locked a whole table.
    pub(crate) fn halve_locked(&mut self, part: Vec<T>) -> Vec<T> {
        self.meet_lock();
        let searching = self.since.is_some_and(|since| since.elapsed() < self.search);
        if searching { self.halve(part) } else { part }
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

/// The result of a batch some of whose members may be locked.
pub(crate) struct Parted<T, R> {
    /// The results of the parts that were done.
    pub(crate) done: Vec<R>,
    /// The members that wait for a lock of another session. `fault` is the error that says so.
    pub(crate) locked: Vec<T>,
    pub(crate) fault: Option<sqlx::Error>,
}

/// Executes a batch in parts, so that no member waits for a lock that only another member needs. If the search
/// takes too long, the members that are not done by then count as locked.
pub(crate) async fn around_locks<T: Clone, R, F>(
    database: &Database,
    members: Vec<T>,
    mut transaction: impl FnMut(Database, Vec<T>) -> F,
) -> Result<Parted<T, R>, sqlx::Error>
where
    F: Future<Output = Result<R, sqlx::Error>>,
{
    let mut parted = Parted { done: Vec::new(), locked: Vec::new(), fault: None };
    let mut parts = Parts::of(members, SEARCH);
    while let Some(part) = parts.take() {
        let database = if parts.hurries() { database.hurried() } else { database.clone() };
        match retry::repeat(retry::IN_BATCH, || transaction(database.clone(), part.clone())).await {
            Ok(done) => parted.done.push(done),
            Err(fault) if error::is_locked(&fault) => {
                parted.locked.extend(parts.halve_locked(part));
                parted.fault = Some(fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(parted)
}
