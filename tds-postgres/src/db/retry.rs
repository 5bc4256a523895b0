//! Decides which transactions are executed again, and how many times.

use std::time::Duration;

use super::error;

/// How many times a transaction is repeated: `REPEATS` after a deadlock or a serialization failure, `LOCKED_REPEATS`
/// after a wait for a lock that another session holds for long, and `READ_ONLY_REPEATS` after it reached a read-only
/// server. In the last case another connection may reach a server that accepts writes.
const REPEATS: u32 = 8;
const LOCKED_REPEATS: u32 = 2;
/// The repeats after a wait for a lock where an operator asked for the transaction. Each wait for a lock lasts a
/// second, and the triggers of `tds_sync_queue` also wait for ten seconds.
const LOCKED_REPEATS_FOR_OPERATORS: u32 = 9;
const READ_ONLY_REPEATS: u32 = 2;

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

/// Executes a transaction that concerns one thing. The transaction is repeated after a deadlock, a serialization
/// failure or a wait for a lock.
pub(crate) async fn repeat<T, F>(transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    repeat_transaction(LOCKED_REPEATS, transaction).await
}

/// Like [`repeat`], for the requests of an operator. The statements of other operators may hold locks for seconds.
pub(crate) async fn repeat_for_operator<T, F>(transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    repeat_transaction(LOCKED_REPEATS_FOR_OPERATORS, transaction).await
}

/// Executes the transaction of a batch. Unlike [`repeat`], `repeat_batch` does not wait for a lock again, because the
/// whole batch would wait for one of its parts. See [`around_locks`](super::parts::around_locks).
pub(crate) async fn repeat_batch<T, F>(transaction: impl FnMut() -> F) -> Result<T, sqlx::Error>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    repeat_transaction(0, transaction).await
}

async fn repeat_transaction<T, F>(
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
