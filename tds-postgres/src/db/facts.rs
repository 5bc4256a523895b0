//! Facts that the server reports about itself, for an operator who checks the setup.

use tds_core::error::Result;
use time::OffsetDateTime;

use super::{database::Database, error::Doing as _};

/// Facts that the server reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// The version of the server, such as `15.4`.
    pub version: String,
    /// The time of the server's clock. Leases and delays follow this clock.
    pub now: OffsetDateTime,
}

/// The number of connections that the server allows this role, and the number that this process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRoom {
    /// The number of connections that this process may open.
    pub wanted: u32,
    /// The number of connections that the server, the database and the role allow for all processes together.
    pub allowed: u32,
    /// The number of connections that programs other than TDS have open.
    pub others: u32,
}

impl ConnectionRoom {
    /// Returns how many processes with this configuration can open all their connections.
    #[must_use]
    pub fn processes(&self) -> u32 {
        self.allowed.saturating_sub(self.others) / self.wanted.max(1)
    }
}

// A limit of -1 means no limit. Connections that are reserved for superusers are not counted for other roles.
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
    /// Compares the number of wanted connections with the number of allowed connections.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    pub async fn connection_room(&self) -> Result<ConnectionRoom> {
        let (allowed, others): (i32, i32) = sqlx::query_as(ROOM)
            .bind(&*self.application_name)
            .fetch_one(self)
            .await
            .doing("asking the database how many connections it allows")?;
        let count = |count: i32| u32::try_from(count).unwrap_or(0);
        Ok(ConnectionRoom { wanted: self.most, allowed: count(allowed), others: count(others) })
    }

    /// Asks the server for its version and its time.
    ///
    /// # Errors
    /// Fails if the server does not answer.
    pub async fn facts(&self) -> Result<ServerFacts> {
        let (version, now) = sqlx::query_as("SELECT current_setting('server_version'), clock_timestamp()")
            .fetch_one(self)
            .await
            .doing("asking the database for its version and time")?;
        Ok(ServerFacts { version, now })
    }
}
