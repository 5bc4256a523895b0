//! What the server says about itself, for a person who looks whether all is well.

use tds_core::error::Result;
use time::OffsetDateTime;

use super::{database::Database, error::classify};

/// What the server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version, such as `15.4`.
    pub version: String,
    /// Its clock, which leases and delays follow.
    pub now: OffsetDateTime,
}

/// How many connections the server has for this role, beside how many this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRoom {
    /// What this process may open (`TDS_DB_CONNECTIONS`).
    pub wanted: u32,
    /// What the server, the database and the role allow, all processes together.
    pub allowed: u32,
    /// What others than TDS have open.
    pub others: u32,
}

impl ConnectionRoom {
    /// How many copies of this process find all their connections.
    #[must_use]
    pub fn copies(&self) -> u32 {
        self.allowed.saturating_sub(self.others) / self.wanted.max(1)
    }
}

// -1 stands for no limit. Places that are kept for superusers are not for us.
const ROOM: &str = "
SELECT LEAST(
    current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0 ELSE
      current_setting('superuser_reserved_connections')::int
      + COALESCE(NULLIF(current_setting('reserved_connections', true), ''), '0')::int END,
    CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN r.rolconnlimit END,
    CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN d.datconnlimit END) AS allowed,
  (SELECT count(*)::int FROM pg_stat_activity a
    WHERE a.backend_type = 'client backend' AND a.application_name <> $1) AS others
  FROM pg_roles r, pg_database d WHERE r.rolname = session_user AND d.datname = current_database()
";

impl Database {
    /// Compares how many connections are wanted and allowed.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn connection_room(&self) -> Result<ConnectionRoom> {
        let (allowed, others): (i32, i32) = sqlx::query_as(ROOM)
            .bind(self.application_name())
            .fetch_one(self)
            .await
            .map_err(|error| classify(error, "asking the database how many connections it allows"))?;
        let count = |count: i32| u32::try_from(count).unwrap_or(0);
        Ok(ConnectionRoom { wanted: self.most(), allowed: count(allowed), others: count(others) })
    }

    /// Asks the server.
    ///
    /// # Errors
    /// The server did not answer.
    pub async fn facts(&self) -> Result<ServerFacts> {
        let (version, now) = sqlx::query_as("SELECT current_setting('server_version'), clock_timestamp()")
            .fetch_one(self)
            .await
            .map_err(|error| classify(error, "asking the database for its version and time"))?;
        Ok(ServerFacts { version, now })
    }
}
