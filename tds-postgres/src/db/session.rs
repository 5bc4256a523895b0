//! Statements that work behind a pooler in transaction mode.
//!
//! PgBouncer may give each transaction another server connection. A named prepared statement would be left behind on
//! that connection, and a statement that is prepared outside a transaction may be executed on another connection.
//! Behind a pooler, statements are therefore unnamed and always inside a transaction.
//!
//! All statements use a [`Lent`] connection, which limits how long a caller waits for an answer.

use std::{fmt, time::Duration};

use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Execute, Executor, Postgres, SqlStr,
    postgres::{PgArguments, PgRow, PgStatement, PgTypeInfo},
};
use tokio::runtime::Handle;

use super::{
    pool::{Lent, Step},
    quote,
};

/// Settings of a transaction whose statements use indexes whatever the statistics say. The statistics of a queue
/// describe a moment when the queue was empty, or full. `jit` would compile statements whose cost the planner
/// overestimates.
pub(crate) const BY_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off";

/// A transaction that is rolled back unless [`Tx::commit`] is called. `&mut tx` executes statements.
pub struct Tx {
    /// `None` after the transaction has ended.
    lent: Option<Lent>,
    pooled: bool,
}

impl Tx {
    /// Begins a transaction on a connection. `statement` contains the `BEGIN` and its settings.
    pub(crate) async fn begin(lent: Lent, statement: String, pooled: bool) -> Result<Self, sqlx::Error> {
        // If a statement after the `BEGIN` fails, the transaction is open all the same. Dropping it rolls it back.
        let mut tx = Self { lent: Some(lent), pooled };
        if let Some(lent) = &mut tx.lent {
            lent.run(quote::statement(statement)).await?;
        }
        Ok(tx)
    }

    /// Sets how long the connection may be silent during a statement.
    pub(crate) fn set_silence(&mut self, silence: Duration) {
        if let Some(lent) = &mut self.lent {
            lent.silence = silence;
        }
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// Returns the database's errors, for example failed deferred constraints. After such an error nothing was
    /// written. If the connection was lost or did not answer in time, it is unknown whether the transaction was
    /// committed.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.end("COMMIT").await
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    /// Fails if the connection is lost. In that case the database rolls back the transaction by itself.
    pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let Some(lent) = &mut self.lent else { return Ok(()) };
        let ended = lent.run(statement).await;
        // A transaction whose end failed has ended as well. Its connection returns to the pool, unless the connection
        // is spoilt. If the task is cancelled during the end, the connection is in the middle of a statement and does
        // not return to the pool.
        self.lent = None;
        ended
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(mut lent) = self.lent.take() else { return };
        if lent.is_spoilt() {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    if let Err(error) = lent.run("ROLLBACK").await {
                        tracing::debug!(%error, "a transaction could not be rolled back; its connection is closed");
                        lent.spoil();
                    }
                });
            }
            Err(_) => lent.spoil(),
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tx")
    }
}

/// A query that is not kept as a prepared statement if a pooler is in use.
struct Unnamed<E> {
    query: E,
    pooled: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        !self.pooled && self.query.persistent()
    }
}

impl<'c> Executor<'c> for &'c mut Tx {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pooled = self.pooled;
        match self.lent.as_mut() {
            Some(lent) => lent.fetch_many(Unnamed { query, pooled }),
            None => stream::once(async { Err(sqlx::Error::PoolClosed) }).boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pooled = self.pooled;
        match self.lent.as_mut() {
            Some(lent) => lent.fetch_optional(Unnamed { query, pooled }),
            None => Box::pin(async { Err(sqlx::Error::PoolClosed) }),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let lent = self.lent.as_mut().ok_or(sqlx::Error::PoolClosed)?;
            lent.prepare(sql, parameters).await
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let lent = self.lent.as_mut().ok_or(sqlx::Error::PoolClosed)?;
            lent.describe(sql).await
        })
    }
}
