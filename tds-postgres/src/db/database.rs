//! The connections of a process. Each kind of connection has its own time limits.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Execute, Executor, Postgres, Row as _, SqlStr,
    postgres::{PgConnectOptions, PgRow, PgStatement, PgTypeInfo},
};
use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use super::{
    config::{Address, DatabaseConfig, Shares, URL},
    connector::{Connector, Limits, Version},
    error::{Doing as _, is_crowded, silent},
    pool::{Bounds, Lent, Pool, PoolFigures, Step},
    retry::repeat_while,
    schemas::Schemas,
    session::Tx,
};

/// The oldest supported server version, as `server_version_num`.
const OLDEST_SERVER: i32 = 140_000;
/// The part of a ping's time limit after which the wait for a connection ends, so that the reason for the wait is known.
const LENT_WITHIN: f64 = 0.9;
/// How long `close` waits for statements in progress.
const CLOSE: Duration = Duration::from_secs(5);

/// The pause between two attempts to connect to a server that has no free connection.
const CROWDED: Duration = Duration::from_millis(250);

/// The limits of ordinary statements. The server's limits are shorter than the client's, so that the server reports
/// the timeout.
const LIMITS: Limits = Limits { statement: "30s", lock: "1s" };
const PATIENCE: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(35);

/// The lock timeout of a search for rows that no other session has locked.
const HURRY: &str = "SET LOCAL lock_timeout = '100ms'";

/// The limits for storing a pushed event. They are short, because the sender waits for the answer and other events
/// wait behind the event.
const INGEST_LIMITS: Limits = Limits { statement: "4s", lock: "300ms" };
const INGEST_PATIENCE: Duration = Duration::from_secs(4);
const INGEST_SILENCE: Duration = Duration::from_millis(4_500);

/// The database connections of a process. All clones share the connections.
///
/// `&database` executes one statement. [`Database::begin`] opens a transaction. Both work behind a pooler in
/// transaction mode, and every wait has a time limit.
#[derive(Clone)]
pub struct Database {
    work: Pool,
    ingest: Pool,
    /// True if this handle uses the `ingest` pool, false if it uses the `work` pool.
    ingests: bool,
    /// True if this handle waits at most 100 ms for a lock.
    hurries: bool,
    connector: Arc<Connector>,
    target: Arc<str>,
    pub(super) application_name: Arc<str>,
    /// The maximum number of connections of this process.
    pub(super) most: u32,
    listens: bool,
    #[cfg(feature = "testkit")]
    tests: sqlx::PgPool,
}

impl Database {
    /// Connects to the server: finds out how the server can be reached, and checks its version and whether the schemas
    /// belong together.
    ///
    /// # Errors
    /// `Config` if the URL, the credentials or the server's version are wrong, or if a schema belongs to another
    /// organization. `Unavailable` if the server
    /// cannot be reached. The message never contains the password.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self> {
        let address = Address::parse(&config.url)?;
        let doing = format!("connecting to the database at {}", address.target);
        let options =
            address.options.clone().application_name(&config.application_name).extra_float_digits(None);
        let began = tokio::time::Instant::now();
        // Other clients may use all connections of the server at the moment.
        let crowded = |error: &_| (is_crowded(error) && began.elapsed() < PATIENCE).then_some(CROWDED);
        let schemas = Arc::new(config.schemas.clone());
        let find = || Connector::find(&options, LIMITS, Arc::clone(&schemas), address.pooled);
        let found = repeat_while(find, crowded).await;
        let (connector, version) = found.doing(&doing).map_err(|error| match error.hint() {
            Some(_) => error,
            None => error.with_hint(URL),
        })?;
        refuse_old(&version, &address.target)?;
        let shares = Shares::of(config.max_connections, connector.is_pooled());
        let connector = Arc::new(connector);
        let bounds = Bounds { connections: shares.work, patience: PATIENCE, silence: SILENCE };
        let work = Pool::new(Arc::clone(&connector), bounds);
        let ingest = if shares.ingest == 0 {
            work.clone()
        } else {
            let bounds =
                Bounds { connections: shares.ingest, patience: INGEST_PATIENCE, silence: INGEST_SILENCE };
            Pool::new(Arc::new(connector.with_limits(&options, INGEST_LIMITS)), bounds)
        };
        let database = Self {
            work,
            ingest,
            ingests: false,
            hurries: false,
            #[cfg(feature = "testkit")]
            tests: sqlx::postgres::PgPoolOptions::new().connect_lazy_with(options),
            connector,
            target: address.target.into(),
            application_name: config.application_name.as_str().into(),
            most: config.max_connections.max(1),
            listens: shares.listens,
        };
        if let Err(error) = database.refuse_wrong_pair().await {
            database.close().await;
            return Err(error);
        }
        Ok(database)
    }

    /// Returns the schemas of the organization.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.connector.schemas
    }

    /// Returns the target as `host:port/name`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns connections for tests, in addition to those of the process and without time limits. Tests use
    /// these connections to disturb the process. No connection is opened before its first use.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn pool(&self) -> &sqlx::PgPool {
        &self.tests
    }

    /// Returns the figures of the connections for ordinary work, and of those that are reserved for pushed events. If
    /// none are reserved, the second figures are zeros.
    #[must_use]
    pub fn pool_figures(&self) -> (PoolFigures, PoolFigures) {
        let ingest =
            if self.ingest.is_same(&self.work) { PoolFigures::default() } else { self.ingest.figures() };
        (self.work.figures(), ingest)
    }

    /// Returns the size of the database in bytes.
    ///
    /// # Errors
    /// Fails if the server does not answer, or refuses the size.
    pub async fn size(&self) -> Result<u64> {
        let asking =
            sqlx::query_scalar::<_, i64>("SELECT pg_database_size(current_database())").fetch_one(self);
        let size = asking.await.doing("reading the size of the database")?;
        Ok(u64::try_from(size).unwrap_or_default())
    }

    /// Returns true behind a pooler in transaction mode, where named statements and session state are not available.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.connector.is_pooled()
    }

    /// Returns true if one connection may listen for the notifications of other processes. Listening needs a
    /// session of its own and one of the allowed connections.
    pub(crate) fn listens(&self) -> bool {
        self.listens && !self.is_pooled()
    }

    /// Returns the options for a connection outside the pools.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.connector.options().clone()
    }

    /// Returns a handle that uses the connections that are reserved for pushed events, with shorter time limits.
    pub(crate) fn for_ingest(&self) -> Self {
        Self { ingests: true, ..self.clone() }
    }

    /// Returns a handle whose waits for a lock end after 100 ms, for callers that have already waited for a lock and
    /// now look for rows that no other session has locked.
    pub(crate) fn hurried(&self) -> Self {
        Self { hurries: true, ..self.clone() }
    }

    /// Returns true if every statement needs a transaction around it.
    pub(crate) fn needs_transaction(&self) -> bool {
        self.hurries || self.is_pooled()
    }

    pub(crate) async fn lend(&self) -> Result<Lent, sqlx::Error> {
        if self.ingests { self.ingest.lend().await } else { self.work.lend().await }
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// Fails if no connection became free in time, or if the server cannot be reached.
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        self.begin_with("").await
    }

    /// Opens a transaction of the engine, whose writes of ERP rows are no local changes: they are not captured. `and`: more
    /// of its settings.
    pub(crate) async fn begin_as_engine(&self, and: &str) -> Result<Tx, sqlx::Error> {
        let origin = self.schemas().origin();
        self.begin_with(&format!("SET LOCAL tds.origin = '{origin}'; {and}")).await
    }

    /// Opens a transaction with its own settings (`SET LOCAL …; SET LOCAL …`). The settings travel in one message
    /// with the `BEGIN`.
    pub(crate) async fn begin_with(&self, settings: &str) -> Result<Tx, sqlx::Error> {
        let lent = self.lend().await?;
        let pooled = self.is_pooled();
        let limits = if self.ingests { INGEST_LIMITS } else { LIMITS };
        let mut statement = if pooled { limits.begin() } else { "BEGIN".to_owned() };
        // Sessions have the search path too. A transaction does not depend on it, because a pooler may keep no session.
        let path = self.schemas().search_path().map(|path| format!("SET LOCAL search_path = {path}"));
        for settings in [path.as_deref().unwrap_or(""), if self.hurries { HURRY } else { "" }, settings] {
            if !settings.is_empty() {
                statement.push_str("; ");
                statement.push_str(settings);
            }
        }
        Tx::begin(lent, statement, pooled).await
    }

    /// Asks the server for an answer and whether the server accepts writes. Returns how long the answer took.
    ///
    /// # Errors
    /// Fails if the server does not answer within this time, or if the server is read-only. The message names the
    /// cause, and neither an address nor a password.
    pub async fn ping(&self, within: Duration) -> Result<Duration> {
        let began = tokio::time::Instant::now();
        let pool = if self.ingests { &self.ingest } else { &self.work };
        let asking = async {
            let mut lent = pool.lend_to_ask(within.mul_f64(LENT_WITHIN)).await?;
            let question = sqlx::raw_sql("SELECT current_setting('transaction_read_only') AS read_only");
            let row = lent.fetch_optional(question).await?.ok_or(sqlx::Error::RowNotFound)?;
            let read_only = row.try_get::<String, _>("read_only")? == "on";
            if read_only {
                // A connection that is opened later may reach another server, or find another setting.
                lent.spoil();
            }
            Ok(read_only)
        };
        let read_only = tokio::time::timeout(within, asking).await;
        let read_only = read_only.unwrap_or_else(|_| Err(silent(within)));
        if read_only.doing("checking whether the database answers")? {
            let error = Error::unavailable(
                "the database is read-only; nothing can be stored until it accepts writes again",
            );
            return Err(error.with_hint(Hint::AcceptWrites));
        }
        Ok(began.elapsed())
    }

    /// Closes the connections. New statements are refused, and statements in progress have five seconds to finish.
    pub async fn close(&self) {
        tokio::join!(self.work.close(CLOSE), self.ingest.close(CLOSE));
        #[cfg(feature = "testkit")]
        self.tests.close().await;
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Database({})", self.target)
    }
}

/// Executes one statement. If a transaction is needed, the statement gets its own transaction.
impl<'c> Executor<'c> for &'c Database {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let steps = async move {
            let steps: Vec<_> = if self.needs_transaction() {
                let mut tx = self.begin().await?;
                let steps = tx.fetch_many(query).try_collect().await?;
                tx.commit().await?;
                steps
            } else {
                // The connection returns to the pool before the caller reads the rows.
                let mut lent = self.lend().await?;
                lent.fetch_many(query).try_collect().await?
            };
            Ok::<_, sqlx::Error>(stream::iter(steps.into_iter().map(Ok)))
        };
        stream::once(steps).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            if !self.needs_transaction() {
                return self.lend().await?.fetch_optional(query).await;
            }
            let mut tx = self.begin().await?;
            let row = tx.fetch_optional(query).await?;
            tx.commit().await?;
            Ok(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move { self.lend().await?.prepare(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async move { self.lend().await?.describe(sql).await })
    }
}

fn refuse_old((number, name): &Version, target: &str) -> Result<()> {
    if *number >= OLDEST_SERVER {
        return Ok(());
    }
    let message = format!("{target} is PostgreSQL {name}; TDS needs PostgreSQL 14 or newer");
    Err(Error::config(message).with_hint(URL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        let error = refuse_old(&(130_009, "13.9".to_owned()), "h:5432/db").expect_err("too old");
        assert!(error.to_string().contains("13.9") && error.to_string().contains("14 or newer"));
        assert!(refuse_old(&(140_000, "14.0".to_owned()), "h:5432/db").is_ok());
    }
}
