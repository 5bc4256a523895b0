//! The servers that work on this database. Each server reports about itself.

use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};

use tds_core::error::Result;

use crate::{
    PgStore,
    db::{error::Doing as _, retry, text::storable},
};

/// A server that has not reported for this long is considered gone. Servers report every ten seconds.
const GONE_AFTER: Duration = Duration::from_secs(20);

/// The report of a server about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// The name of the server among the processes.
    pub name: String,
    /// True if the server executes queue items and runs. A server without workers does not.
    pub works: bool,
    /// A name that identifies the server's credentials without revealing anything about them.
    pub credentials: String,
    /// The state of Zoho as the server sees it.
    pub zoho_state: ReportedState,
    /// The state of Zoho described in words.
    pub zoho_detail: String,
}

/// The state of Zoho in the report of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportedState {
    /// Zoho answers.
    Healthy,
    /// Zoho cannot be used, or not fully.
    Degraded,
    /// The server has not asked Zoho yet.
    Unknown,
}

impl ReportedState {
    const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Unknown];

    /// Returns the name under which the state is stored.
    fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
        }
    }

    /// Reads a stored state. A state that only another version of the program knows is unknown to this one.
    fn of(stored: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str() == stored).unwrap_or(Self::Unknown)
    }
}

// One statement does what a server asks regularly, so that idle servers ask seldom: it stores the report, removes the
// reports of servers that ended without a word, and tells whether a cancelled run has items in the queue, whether a run
// is free, and whether local changes wait. Each answer comes from an index that is empty while there is nothing to do.
const REPORT: &str = concat!(
    "WITH gone AS (DELETE FROM tds_processes WHERE seen_at < now() - interval '1 day' AND name <> $1)
INSERT INTO tds_processes AS p (name, works, credentials, zoho_state, zoho_detail) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET works = excluded.works, credentials = excluded.credentials,
  zoho_state = excluded.zoho_state, zoho_detail = excluded.zoho_detail, seen_at = clock_timestamp()
RETURNING EXISTS (SELECT FROM tds_sync_runs WHERE status = 'cancelled' AND open_items > 0),
  EXISTS (SELECT FROM tds_sync_runs WHERE status IN ('pending', 'running') AND ",
    include_str!("../sql/parts/free_run.sql"),
    "),
  EXISTS (SELECT FROM tds_outbox WHERE NOT relayed)
"
);

const LIVE: &str = "
SELECT name, works, credentials, zoho_state, zoho_detail FROM tds_processes
 WHERE seen_at > now() - make_interval(secs => $1) ORDER BY seen_at DESC
";

impl PgStore {
    /// Stores the report of a server. The server counts as live for twenty seconds. If a run is free or local changes
    /// wait of which no notification told this process, its tasks that wait for them are woken. Returns true if a
    /// cancelled run may have items in the queue, which [`finish_cancelling`] then takes out.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    ///
    /// [`finish_cancelling`]: tds_core::runs::SyncRunOperator::finish_cancelling
    pub async fn report_server(&self, report: &ServerReport) -> Result<bool> {
        let database = &self.database;
        let store = || {
            sqlx::query_as(REPORT)
                .bind(storable(&report.name))
                .bind(report.works)
                .bind(storable(&report.credentials))
                .bind(report.zoho_state.as_str())
                .bind(storable(&report.zoho_detail))
                .fetch_one(database)
        };
        let found: (bool, bool, bool) =
            retry::repeat(retry::ALONE, store).await.doing("reporting the state of this server")?;
        let (cancelled_has_items, run_is_free, changes_wait) = found;
        self.work.wake_for(run_is_free, changes_wait);
        Ok(cancelled_has_items)
    }

    /// Removes the report of a server that ends.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn forget_server(&self, name: &str) -> Result<()> {
        let gone = sqlx::query("DELETE FROM tds_processes WHERE name = $1");
        let gone = gone.bind(storable(name)).execute(&self.database).await;
        gone.map(drop).doing("reporting the end of this server")
    }

    /// Returns the live servers. The server that reported last comes first.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn live_servers(&self) -> Result<Vec<ServerReport>> {
        let live = sqlx::query(LIVE).bind(GONE_AFTER.as_secs_f64()).try_map(|row: PgRow| report_of(&row));
        live.fetch_all(&self.database).await.doing("looking for live servers")
    }
}

fn report_of(row: &PgRow) -> Result<ServerReport, sqlx::Error> {
    Ok(ServerReport {
        name: row.try_get("name")?,
        works: row.try_get("works")?,
        credentials: row.try_get("credentials")?,
        zoho_state: ReportedState::of(row.try_get("zoho_state")?),
        zoho_detail: row.try_get("zoho_detail")?,
    })
}
