//! The connection pool.

use std::{fmt, str::FromStr as _, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tds_core::{Error, ErrorKind, Result, Retry};

use crate::{
    error::{classify, of_postgres},
    session::Tx,
};

/// The oldest server whose SQL is enough.
const OLDEST_SERVER: i32 = 140_000;
/// How long a task waits for a free connection before it reports the database as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Supabase's pooler in transaction mode.
const SUPABASE_TRANSACTION_PORT: u16 = 6543;

/// How to reach the database.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/name?sslmode=…`. `pgbouncer=true`, port 6543 or
    /// `statement-cache-capacity=0` announce a pooler in transaction mode; others are recognised by their refusal
    /// of session settings.
    pub url: String,
    /// The most connections of this process; at least 1.
    pub max_connections: u32,
    /// How the connections show up in `pg_stat_activity`.
    pub application_name: String,
}

impl DatabaseConfig {
    /// Ten connections named `tds`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), max_connections: 10, application_name: "tds".to_owned() }
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL carries the password.
        formatter
            .debug_struct("DatabaseConfig")
            .field(
                "target",
                &Address::parse(&self.url).map_or_else(|_| "?".to_owned(), |address| address.target),
            )
            .field("max_connections", &self.max_connections)
            .field("application_name", &self.application_name)
            .finish_non_exhaustive()
    }
}

/// A pool of connections. Clones share it.
///
/// `&database` executes one statement, [`Database::begin`] opens a transaction; both work behind a pooler in
/// transaction mode. [`Database::pool`] does not know about poolers.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    target: Arc<str>,
    pooled: bool,
}

impl Database {
    /// Opens the pool and looks at the server.
    ///
    /// # Errors
    /// `Config` where the URL, the credentials or the server's version are wrong, `Unavailable` where the
    /// server cannot be reached. The text names `DATABASE_URL` and never the password.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self> {
        let address = Address::parse(&config.url)?;
        let mut pooled = address.pooled;
        let mut opened = open(config, &address, pooled).await;
        if !pooled && opened.as_ref().is_err_and(refuses_session_settings) {
            pooled = true;
            opened = open(config, &address, pooled).await;
        }
        let (pool, version) = opened.map_err(|error| connect_error(error, &address.target))?;
        refuse_old(&version, &address.target)?;
        Ok(Self { pool, target: address.target.into(), pooled })
    }

    /// `host:port/name`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The connections themselves. Behind a pooler only simple statements (`raw_sql`) are safe on them.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// True behind a pooler in transaction mode: no named statements, no session state.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// No connection within five seconds, or the server is gone.
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        Ok(Tx::new(self.pool.begin().await?, self.pooled))
    }

    /// Opens a transaction with settings of its own: `BEGIN; SET LOCAL …`.
    pub(crate) async fn begin_with(&self, statement: &'static str) -> Result<Tx, sqlx::Error> {
        Ok(Tx::new(self.pool.begin_with(statement).await?, self.pooled))
    }

    /// Asks the server for an answer; how long it took.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn ping(&self) -> Result<Duration> {
        let began = tokio::time::Instant::now();
        sqlx::raw_sql("SELECT 1")
            .execute(&self.pool)
            .await
            .map_err(|error| classify(error, "asking the database for an answer"))?;
        Ok(began.elapsed())
    }

    /// Closes the pool: waits for statements under way, refuses new ones.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Database({})", self.target)
    }
}

/// What the URL says.
struct Address {
    options: PgConnectOptions,
    target: String,
    pooled: bool,
}

impl Address {
    fn parse(url: &str) -> Result<Self> {
        // The parser's own text may quote the URL, and with it the password.
        let wrong = || {
            Error::new(
                ErrorKind::Config,
                Retry::Permanent,
                "DATABASE_URL is no PostgreSQL URL: expected postgres://user:password@host:5432/name",
            )
        };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(wrong());
        }
        let (url, mut pooled) = without_pooler_flag(url);
        pooled |= url.contains("statement-cache-capacity=0");
        let options = PgConnectOptions::from_str(&url).map_err(|_| wrong())?;
        pooled |= options.get_port() == SUPABASE_TRANSACTION_PORT;
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        let target = format!("{}:{}/{name}", options.get_host(), options.get_port());
        Ok(Self { options, target, pooled })
    }
}

/// Takes `pgbouncer=…` out of the URL: other programs understand it, the driver does not.
fn without_pooler_flag(url: &str) -> (String, bool) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), false) };
    let (flags, rest): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| pair.split('=').next() == Some("pgbouncer"));
    let pooled =
        flags.iter().any(|flag| flag.eq_ignore_ascii_case("pgbouncer=true") || *flag == "pgbouncer=1");
    (if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) }, pooled)
}

/// The server's version as a number and as people write it.
type Version = (i32, String);

async fn open(
    config: &DatabaseConfig,
    address: &Address,
    pooled: bool,
) -> Result<(PgPool, Version), sqlx::Error> {
    let mut options =
        address.options.clone().application_name(&config.application_name).extra_float_digits(None);
    if pooled {
        options = options.statement_cache_capacity(0);
    } else {
        options =
            options.options([("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "60s")]);
    }
    // A pool repeats refused connections until its time is over and then only says that: one connection
    // without it tells at once what is wrong.
    let version = tokio::time::timeout(ACQUIRE_TIMEOUT, version(&options));
    let version = version.await.map_err(|_elapsed| sqlx::Error::PoolTimedOut)??;
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections.max(1))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    Ok((pool, version))
}

async fn version(options: &PgConnectOptions) -> Result<Version, sqlx::Error> {
    let mut connection = options.connect().await?;
    let row = sqlx::raw_sql(
        "SELECT current_setting('server_version_num')::int4 AS num, current_setting('server_version') AS name",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok((row.try_get("num")?, row.try_get("name")?))
}

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

fn refuses_session_settings(error: &sqlx::Error) -> bool {
    of_postgres(error).is_some_and(|cause| cause.message().contains("unsupported startup parameter"))
}

fn connect_error(error: sqlx::Error, target: &str) -> Error {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Error::unavailable(format!(
            "no connection to the database at {target} within {} s (DATABASE_URL)",
            ACQUIRE_TIMEOUT.as_secs()
        ));
    }
    classify(error, &format!("connecting to the database at {target} (DATABASE_URL)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pooler_flag_is_taken_out_and_the_rest_stays() {
        let (url, pooled) = without_pooler_flag("postgres://a@h/db?sslmode=require&pgbouncer=true");
        assert_eq!((url.as_str(), pooled), ("postgres://a@h/db?sslmode=require", true));
        assert_eq!(without_pooler_flag("postgres://a@h/db"), ("postgres://a@h/db".to_owned(), false));
    }

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        let error = refuse_old(&(130_009, "13.9".to_owned()), "h:5432/db").expect_err("too old");
        assert!(error.to_string().contains("13.9") && error.to_string().contains("14 or newer"));
        assert!(refuse_old(&(140_000, "14.0".to_owned()), "h:5432/db").is_ok());
    }

    #[test]
    fn the_port_of_supabases_transaction_pooler_is_known() {
        let address = Address::parse("postgres://u:p@h:6543/postgres").expect("a URL");
        assert!(address.pooled);
        assert_eq!(address.target, "h:6543/postgres");
    }

    #[test]
    fn no_text_shows_the_password() {
        let config = DatabaseConfig::new("postgres://u:hunter2@h/db");
        assert!(!format!("{config:?}").contains("hunter2"));
        for wrong in ["mysql://u:hunter2@h/db", "postgres://u:hunter2@h:port/db", "hunter2"] {
            let error = Address::parse(wrong).err().expect("refused");
            assert!(!error.chain().contains("hunter2") && error.chain().contains("DATABASE_URL"));
        }
    }
}
