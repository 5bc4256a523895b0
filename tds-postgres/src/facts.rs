//! What the server says about itself, for a person who looks whether all is well.

use tds_core::Result;
use time::OffsetDateTime;

use crate::{Database, error::classify};

/// What the server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version, such as `15.4`.
    pub version: String,
    /// Its clock, which leases and delays follow.
    pub now: OffsetDateTime,
}

impl Database {
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
