//! Opens connections, and finds out whether a pooler in transaction mode is between us and the server.

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

use super::error::{self, silent};

/// How long the first connections may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A pooler with a single connection keeps the second client waiting while the first one has a transaction.
const SHARED: Duration = Duration::from_secs(2);

/// The time limits of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of a statement.
    pub(crate) statement: &'static str,
    /// Of a wait for a lock: somebody else may hold it for as long as they like.
    pub(crate) lock: &'static str,
}

/// How long a transaction may wait for its next statement: a process whose way to the server vanished holds locks no longer.
const IDLE_IN_TRANSACTION: &str = "30s";

impl Limits {
    fn settings(self) -> [(&'static str, &'static str); 3] {
        [
            ("statement_timeout", self.statement),
            ("lock_timeout", self.lock),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ]
    }

    /// The beginning of a transaction whose session knows no limits.
    pub(crate) fn begin(self) -> String {
        let mut text = "BEGIN".to_owned();
        for (name, value) in self.settings() {
            text.push_str(&format!("; SET LOCAL {name} = '{value}'"));
        }
        text
    }
}

/// What lets the server find out that we are gone. Not every platform has all of them.
const WATCH: [(&str, &str); 6] = [
    ("client_connection_check_interval", "5s"),
    ("idle_session_timeout", "10min"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// How to reach the database, as it was found out by trying.
#[derive(Clone)]
pub(crate) struct Way {
    /// With the settings that the server takes.
    direct: PgConnectOptions,
    /// Without any: for poolers.
    plain: PgConnectOptions,
}

/// What the first connection told.
pub(crate) struct Found {
    pub(crate) way: Way,
    pub(crate) pooled: bool,
    pub(crate) version: (i32, String),
}

impl Way {
    /// Tries how the database can be reached. `pooled`: it is known to be behind a pooler.
    pub(crate) async fn find(
        options: &PgConnectOptions,
        limits: Limits,
        pooled: bool,
    ) -> Result<Found, sqlx::Error> {
        let plain = options.clone().statement_cache_capacity(0);
        let mut refusal = None;
        for watch in [&WATCH[..], &[]] {
            if pooled {
                break;
            }
            let direct = options.clone().options(limits.settings()).options(watch.iter().copied());
            match look(&direct, Some(limits)).await {
                Ok(seen) => {
                    let way = Self { direct, plain };
                    return Ok(Found { way, pooled: !seen.as_asked, version: seen.version });
                }
                // In whatever words: without the settings it may work.
                Err(fault) if error::may_be_about_settings(&fault) => refusal = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        match look(&plain, None).await {
            Ok(seen) => {
                let way = Self { direct: plain.clone(), plain };
                Ok(Found { way, pooled: true, version: seen.version })
            }
            Err(fault) => Err(refusal.unwrap_or(fault)),
        }
    }

    /// The same database, with other limits.
    pub(crate) fn with_limits(&self, options: &PgConnectOptions, limits: Limits) -> Self {
        let watched = self.direct.get_options().is_some_and(|text| text.contains("tcp_user_timeout"));
        let watch = if watched { &WATCH[..] } else { &[] };
        let direct = options.clone().options(limits.settings()).options(watch.iter().copied());
        Self { direct, plain: self.plain.clone() }
    }
}

struct Seen {
    version: (i32, String),
    as_asked: bool,
}

/// One connection, which tells at once what is wrong; and a second one, where the first one shows no pooler.
async fn look(options: &PgConnectOptions, asked: Option<Limits>) -> Result<Seen, sqlx::Error> {
    let looking = async {
        let mut connection = options.connect().await?;
        let row = sqlx::raw_sql(
            "SELECT current_setting('server_version_num')::int4 AS num, current_setting('server_version') AS name,
               current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock",
        )
        .fetch_one(&mut connection)
        .await?;
        let version = (row.try_get("num")?, row.try_get("name")?);
        let (statement, lock): (String, String) = (row.try_get("statement")?, row.try_get("lock")?);
        let as_asked = match asked {
            Some(limits) if statement == limits.statement && lock == limits.lock => {
                !shares_sessions(&mut connection, options).await
            }
            _ => false,
        };
        connection.close().await?;
        Ok(Seen { version, as_asked })
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| Err(silent(PATIENCE)))
}

/// True where transactions of one connection are executed by several sessions, or several connections share one.
async fn shares_sessions(one: &mut PgConnection, options: &PgConnectOptions) -> bool {
    let looking = async {
        let before = session(one).await?;
        let mut other = options.connect().await?;
        other.execute("BEGIN").await?;
        let held = session(&mut other).await?;
        let after = match timeout(SHARED, session(one)).await {
            Ok(after) => after?,
            // It waits for the other's transaction.
            Err(_elapsed) => return Ok(true),
        };
        other.close().await?;
        Ok::<_, sqlx::Error>(before == held || before != after)
    };
    // Where there is no place for a second connection, nothing was found.
    looking.await.unwrap_or(false)
}

async fn session(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid() AS pid").fetch_one(connection).await?.try_get("pid")
}

/// Opens connections for a pool.
pub(crate) struct Connector {
    way: Way,
    pooled: Arc<AtomicBool>,
}

impl Connector {
    pub(crate) fn new(way: Way, pooled: Arc<AtomicBool>) -> Self {
        Self { way, pooled }
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled.load(Ordering::Relaxed)
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        if self.is_pooled() { &self.way.plain } else { &self.way.direct }
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.options().connect().await
    }

    /// From now on statements are unnamed and inside transactions.
    pub(crate) fn found_pooler(&self) {
        if !self.pooled.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "prepared statements get lost: a pooler in transaction mode is between TDS and the database; \
                 from now on it is worked with as such"
            );
        }
    }
}
