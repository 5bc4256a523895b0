//! Opens connections, and detects a pooler in transaction mode between TDS and the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, postgres::PgConnectOptions,
};
use tokio::time::timeout;

use super::{
    error::{self, silent},
    schemas::Schemas,
};

/// The time limit of the first connections.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time limit of the second client in the search for a pooler. A pooler with a single server connection keeps the
/// second client waiting while the first client has a transaction.
const SHARED: Duration = Duration::from_secs(2);

/// The time limits of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The time limit of a statement.
    pub(crate) statement: &'static str,
    /// The time limit of a wait for a lock. The session that holds the lock may keep it for any length of time.
    pub(crate) lock: &'static str,
}

/// How long a transaction may wait for its next statement. The limit releases the locks of a process whose network
/// connection to the server is lost.
const IDLE_IN_TRANSACTION: &str = "30s";

impl Limits {
    fn settings(self) -> [(&'static str, &'static str); 3] {
        [
            ("statement_timeout", self.statement),
            ("lock_timeout", self.lock),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ]
    }

    /// Returns the settings of a session with these limits and schemas.
    fn of_session(self, schemas: &Schemas) -> Vec<(&'static str, String)> {
        let limits = self.settings().into_iter().map(|(name, value)| (name, value.to_owned()));
        limits.chain(schemas.search_path().map(|path| ("search_path", path))).collect()
    }

    /// Returns the statements that begin a transaction in a session without time limits.
    pub(crate) fn begin(self) -> String {
        let mut text = "BEGIN".to_owned();
        for (name, value) in self.settings() {
            text.push_str(&format!("; SET LOCAL {name} = '{value}'"));
        }
        text
    }
}

/// Settings that let the server detect that this process is gone. Some platforms do not support all of these
/// settings.
const WATCH: [(&str, &str); 6] = [
    ("client_connection_check_interval", "5s"),
    ("idle_session_timeout", "10min"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// The server's version as a number and in its readable form.
pub(crate) type Version = (i32, String);

/// Opens connections for a pool, in the way that worked for the first connections.
pub(crate) struct Connector {
    pub(super) schemas: Arc<Schemas>,
    /// The options with the settings that the server accepts.
    direct: PgConnectOptions,
    /// The options without any settings, for poolers.
    plain: PgConnectOptions,
    pooled: Arc<AtomicBool>,
}

impl Connector {
    /// Finds out how the database can be reached, and the server's version. `pooled`: the configuration announces a
    /// pooler.
    pub(crate) async fn find(
        options: &PgConnectOptions,
        limits: Limits,
        schemas: Arc<Schemas>,
        pooled: bool,
    ) -> Result<(Self, Version), sqlx::Error> {
        let plain = options.clone().statement_cache_capacity(0);
        let mut refusal = None;
        for watch in [&WATCH[..], &[]] {
            if pooled {
                break;
            }
            let direct = options.clone().options(limits.of_session(&schemas)).options(watch.iter().copied());
            match look(&direct, Some((limits, &schemas))).await {
                Ok((version, as_asked)) => {
                    let pooled = Arc::new(AtomicBool::new(!as_asked));
                    return Ok((Self { schemas, direct, plain, pooled }, version));
                }
                // The words of the refusal differ between servers and poolers. The connection may succeed without the
                // settings.
                Err(fault) if error::may_be_about_settings(&fault) => refusal = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        match look(&plain, None).await {
            Ok((version, _)) => {
                let pooled = Arc::new(AtomicBool::new(true));
                Ok((Self { schemas, direct: plain.clone(), plain, pooled }, version))
            }
            Err(fault) => Err(refusal.unwrap_or(fault)),
        }
    }

    /// Returns a connector to the same database with other time limits.
    pub(crate) fn with_limits(&self, options: &PgConnectOptions, limits: Limits) -> Self {
        let watched = self.direct.get_options().is_some_and(|text| text.contains("tcp_user_timeout"));
        let watch = if watched { &WATCH[..] } else { &[] };
        let direct = options.clone().options(limits.of_session(&self.schemas)).options(watch.iter().copied());
        let schemas = Arc::clone(&self.schemas);
        Self { schemas, direct, plain: self.plain.clone(), pooled: Arc::clone(&self.pooled) }
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled.load(Ordering::Relaxed)
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        if self.is_pooled() { &self.plain } else { &self.direct }
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.options().connect().await
    }

    /// Records that a pooler was found. From then on statements are unnamed and always inside a transaction.
    pub(crate) fn found_pooler(&self) {
        if !self.pooled.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "prepared statements get lost: a pooler in transaction mode is between TDS and the database; from \
                 now on statements are unnamed and stay inside transactions"
            );
        }
    }
}

/// Opens one connection, which reports at once what is wrong. If the first connection shows no pooler, `look` also
/// opens a second connection. Returns the server's version, and whether the session has the settings that the limits and
/// the schemas require.
async fn look(
    options: &PgConnectOptions,
    asked: Option<(Limits, &Schemas)>,
) -> Result<(Version, bool), sqlx::Error> {
    let looking = async {
        let mut connection = options.connect().await?;
        let row = sqlx::raw_sql(
            "SELECT current_setting('server_version_num')::int4 AS num, current_setting('server_version') AS name,
               current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
               current_setting('search_path') AS path",
        )
        .fetch_one(&mut connection)
        .await?;
        let version = (row.try_get("num")?, row.try_get("name")?);
        let (statement, lock): (String, String) = (row.try_get("statement")?, row.try_get("lock")?);
        let path: String = row.try_get("path")?;
        let as_asked = match asked {
            Some((limits, schemas))
                if statement == limits.statement
                    && lock == limits.lock
                    && schemas.search_path().is_none_or(|asked| asked == path) =>
            {
                !shares_sessions(&mut connection, options).await
            }
            _ => false,
        };
        connection.close().await?;
        Ok((version, as_asked))
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| Err(silent(PATIENCE)))
}

/// Returns true if several sessions execute the transactions of one connection, or several connections share one
/// session.
async fn shares_sessions(one: &mut PgConnection, options: &PgConnectOptions) -> bool {
    let looking = async {
        let before = session(one).await?;
        let mut other = options.connect().await?;
        other.execute("BEGIN").await?;
        let held = session(&mut other).await?;
        let after = match timeout(SHARED, session(one)).await {
            Ok(after) => after?,
            // The first connection waits for the transaction of the other connection, so both share one session.
            Err(_elapsed) => return Ok(true),
        };
        other.close().await?;
        Ok::<_, sqlx::Error>(before == held || before != after)
    };
    // If a second connection is not allowed, the search has no result.
    looking.await.unwrap_or(false)
}

async fn session(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid() AS pid").fetch_one(connection).await?.try_get("pid")
}
