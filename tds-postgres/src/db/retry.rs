//! Decides which transactions are executed again, and how many times.

use std::time::Duration;

use super::error;

/// How many times a transaction is repeated after a deadlock or a serialization failure.
const REPEATS: u32 = 8;
/// How many times a transaction is repeated after it reached a read-only server. Another connection may reach a server
/// that accepts writes.
const READ_ONLY_REPEATS: u32 = 2;

/// The transaction of a batch does not wait for a lock again, because the whole batch would wait for one of its parts.
/// See [`around_locks`](super::parts::around_locks).
pub(crate) const IN_BATCH: u32 = 0;
/// How many times a transaction that concerns one thing waits again for a lock that another session holds. Each wait
/// lasts a second.
pub(crate) const ALONE: u32 = 2;
/// How many times a transaction waits again if an operator asked for it. The statements of other operators may hold
/// locks for seconds, and the triggers of `tds_sync_queue` also wait for ten seconds.
pub(crate) const FOR_OPERATOR: u32 = 9;

/// Repeats an attempt as long as `pause` returns how long to wait after its error.
pub(crate) async fn repeat_while<T, E, F>(
    mut attempt: impl FnMut() -> F,
    mut pause: impl FnMut(&E) -> Option<Duration>,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    loop {
        let error = match attempt().await {
            Err(error) => error,
            result => return result,
        };
        match pause(&error) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
    }
}

/// Executes a transaction, and repeats it after a deadlock or a serialization failure. After a wait for a lock, the
/// transaction is repeated at most `locked_repeats` times.
pub(crate) async fn repeat<T, F>(
    locked_repeats: u32,
    transaction: impl FnMut() -> F,
) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let (mut locked, mut repeats, mut read_only) = (0, 0, 0);
    let pause = |fault: &sqlx::Error| {
        if locked < locked_repeats && error::is_locked(fault) {
            // The wait for the lock took long already. The other counts begin again.
            (locked, repeats, read_only) = (locked + 1, 0, 0);
            return Some(Duration::ZERO);
        }
        if repeats < REPEATS && error::is_retryable(fault) {
            repeats += 1;
        } else if read_only < READ_ONLY_REPEATS && error::is_read_only(fault) {
            read_only += 1;
        } else {
            return None;
        }
        tracing::debug!(error = %fault, repeats, "a transaction is repeated");
        Some(Duration::from_millis(5 << repeats.min(5)))
    };
    repeat_while(transaction, pause).await
}
