//! The connections of a process, each kind with its time limits.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures_util::{
    StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Execute, Executor, Postgres, Row as _, SqlStr,
    postgres::{PgConnectOptions, PgRow, PgStatement, PgTypeInfo},
};
use tds_core::error::{Error, ErrorKind, Result, Retry};

use super::{
    config::{Address, DatabaseConfig, Shares},
    connector::{Connector, Limits, Way},
    error::{classify, is_crowded, silent},
    pool::{Bounds, Lent, Pool, Step},
    session::Tx,
};

/// The oldest server whose SQL is enough.
const OLDEST_SERVER: i32 = 140_000;
/// How long somebody who asks whether the database answers waits for it.
const PING: Duration = Duration::from_secs(5);
/// How long closing waits for statements under way.
const CLOSE: Duration = Duration::from_secs(5);

/// Between two tries of a server that has no connection for us.
const CROWDED: Duration = Duration::from_millis(250);

/// What statements may take in general: the server gives up first, and says so.
const LIMITS: Limits = Limits { statement: "30s", lock: "1s" };
const PATIENCE: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(35);

/// What looking for rows that nobody has locked may take.
const HURRY: &str = "SET LOCAL lock_timeout = '100ms'";

/// What storing a pushed event may take: somebody waits for the answer, and others wait behind.
const INGEST_LIMITS: Limits = Limits { statement: "4s", lock: "300ms" };
const INGEST_PATIENCE: Duration = Duration::from_secs(4);
const INGEST_SILENCE: Duration = Duration::from_millis(4_500);

/// The connections of a process. Clones share them.
///
/// `&database` executes one statement, [`Database::begin`] opens a transaction; both work behind a pooler in
/// transaction mode, and neither waits for ever.
#[derive(Clone)]
pub struct Database {
    work: Pool,
    ingest: Pool,
    /// Which of the two a handle uses.
    ingests: bool,
    /// A lock that somebody holds is hardly waited for.
    hurries: bool,
    connector: Arc<Connector>,
    target: Arc<str>,
    application_name: Arc<str>,
    most: u32,
    listens: bool,
    #[cfg(feature = "testkit")]
    tests: sqlx::PgPool,
}

impl Database {
    /// Finds out how the server can be reached, and looks at it.
    ///
    /// # Errors
    /// `Config` where the URL, the credentials or the server's version are wrong, `Unavailable` where the
    /// server cannot be reached. The text names `DATABASE_URL` and never the password.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self> {
        let address = Address::parse(&config.url)?;
        let doing = format!("connecting to the database at {} (DATABASE_URL)", address.target);
        let options =
            address.options.clone().application_name(&config.application_name).extra_float_digits(None);
        let began = tokio::time::Instant::now();
        let found = loop {
            match Way::find(&options, LIMITS, address.pooled).await {
                // Others have all connections for a moment.
                Err(error) if is_crowded(&error) && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(CROWDED).await;
                }
                found => break found.map_err(|error| classify(error, &doing))?,
            }
        };
        refuse_old(&found.version, &address.target)?;
        let shares = Shares::of(config.max_connections, found.pooled);
        let pooled = Arc::new(AtomicBool::new(found.pooled));
        let ingest_way = found.way.with_limits(&options, INGEST_LIMITS);
        let connector = Arc::new(Connector::new(found.way, Arc::clone(&pooled)));
        let work = Pool::new(
            Arc::clone(&connector),
            Bounds { connections: shares.work, patience: PATIENCE, silence: SILENCE },
        );
        let ingest = if shares.ingest == 0 {
            work.clone()
        } else {
            let bounds =
                Bounds { connections: shares.ingest, patience: INGEST_PATIENCE, silence: INGEST_SILENCE };
            Pool::new(Arc::new(Connector::new(ingest_way, Arc::clone(&pooled))), bounds)
        };
        work.keep_tidy();
        if shares.ingest > 0 {
            ingest.keep_tidy();
        }
        Ok(Self {
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
        })
    }

    /// `host:port/name`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn application_name(&self) -> &str {
        &self.application_name
    }

    /// The most connections of this process.
    pub(crate) fn most(&self) -> u32 {
        self.most
    }

    /// Connections beside those of the process, without its time limits: what a test needs to disturb it. None is opened
    /// before the first use.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn pool(&self) -> &sqlx::PgPool {
        &self.tests
    }

    /// True behind a pooler in transaction mode: no named statements, no session state.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.connector.is_pooled()
    }

    /// True where a connection may listen for the hints of other processes: a session, and one of those allowed.
    pub(crate) fn listens(&self) -> bool {
        self.listens && !self.is_pooled()
    }

    /// How a connection of one's own is opened.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.connector.options().clone()
    }

    /// The same database over the connections that are kept for pushed events, with shorter time limits.
    pub(crate) fn for_ingest(&self) -> Self {
        Self { ingests: true, ..self.clone() }
    }

    /// The same, for those who have waited for a lock already and look for what is not locked.
    pub(crate) fn hurried(&self) -> Self {
        Self { hurries: true, ..self.clone() }
    }

    /// True where every statement needs a transaction around it.
    pub(crate) fn needs_transaction(&self) -> bool {
        self.hurries || self.is_pooled()
    }

    pub(crate) async fn lend(&self) -> Result<Lent, sqlx::Error> {
        if self.ingests { self.ingest.lend().await } else { self.work.lend().await }
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// No connection became free in time, or the server is gone.
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        self.begin_with("").await
    }

    /// Opens a transaction with settings of its own: `SET LOCAL …; SET LOCAL …`, in one message with the `BEGIN`.
    pub(crate) async fn begin_with(&self, settings: &str) -> Result<Tx, sqlx::Error> {
        let lent = self.lend().await?;
        let pooled = self.is_pooled();
        let limits = if self.ingests { INGEST_LIMITS } else { LIMITS };
        let mut statement = if pooled { limits.begin() } else { "BEGIN".to_owned() };
        for settings in [if self.hurries { HURRY } else { "" }, settings] {
            if !settings.is_empty() {
                statement.push_str("; ");
                statement.push_str(settings);
            }
        }
        Tx::begin(lent, statement, pooled).await
    }

    /// Asks the server for an answer, and whether it can be written to; how long it took.
    ///
    /// # Errors
    /// The server did not answer within five seconds, or is read-only.
    pub async fn ping(&self) -> Result<Duration> {
        let doing = "asking the database for an answer";
        let began = tokio::time::Instant::now();
        let asking = async {
            let mut lent = self.lend().await?;
            let question = sqlx::raw_sql("SELECT current_setting('transaction_read_only') AS read_only");
            let row = lent.fetch_optional(question).await?.ok_or(sqlx::Error::RowNotFound)?;
            let read_only = row.try_get::<String, _>("read_only")? == "on";
            if read_only {
                // What is opened later may find another server, or another setting.
                lent.spoil();
            }
            Ok(read_only)
        };
        let read_only = tokio::time::timeout(PING, asking).await;
        let read_only = read_only.unwrap_or_else(|_| Err(silent(PING)));
        if read_only.map_err(|error| classify(error, doing))? {
            return Err(Error::unavailable(
                "the database is read-only, as a standby is: nothing can be stored until it takes writes again",
            ));
        }
        Ok(began.elapsed())
    }

    /// Closes the connections: waits a little for statements under way, refuses new ones.
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

/// One statement, in a transaction of its own.
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
                // The connection goes back before the rows are read.
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

/// The server's version as a number and as people write it.
type Version = (i32, String);

fn refuse_old((number, name): &Version, target: &str) -> Result<()> {
    if *number >= OLDEST_SERVER {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        Retry::Permanent,
        format!("DATABASE_URL points to PostgreSQL {name} ({target}); TDS needs PostgreSQL 14 or newer"),
    ))
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
