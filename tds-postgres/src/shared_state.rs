//! The documents that all processes share: [`SharedState`] over the table `tds_shared_states`.

use async_trait::async_trait;
use tds_core::{
    error::Result,
    limits::shared_state::{Document, SharedState},
};
use time::OffsetDateTime;

use crate::{
    PgStore,
    db::{error::Doing as _, text::storable},
};

const LOAD: &str = "
SELECT clock_timestamp() AS now, s.version, s.state
  FROM (SELECT 1) one LEFT JOIN tds_shared_states s ON s.name = $1
";

const CREATE: &str = "
INSERT INTO tds_shared_states (name, version, state) VALUES ($1, 1, $2) ON CONFLICT (name) DO NOTHING
";

const SWAP: &str = "
UPDATE tds_shared_states SET version = version + 1, state = $3, updated_at = clock_timestamp()
 WHERE name = $1 AND version = $2
";

#[async_trait]
impl SharedState for PgStore {
    async fn load(&self, name: &str) -> Result<Document> {
        let load = sqlx::query_as::<_, (OffsetDateTime, Option<i64>, Option<String>)>(LOAD);
        let loaded = load.bind(storable(name)).fetch_one(&self.database).await;
        let (now, version, text) = loaded.doing(&format!("reading the shared state {name}"))?;
        let version = version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0);
        Ok(Document { version, text, now })
    }

    async fn swap(&self, name: &str, version: u64, text: &str) -> Result<bool> {
        let written = match i64::try_from(version) {
            Ok(0) => sqlx::query(CREATE).bind(storable(name)).bind(text).execute(&self.database).await,
            Ok(version) => {
                sqlx::query(SWAP).bind(storable(name)).bind(version).bind(text).execute(&self.database).await
            }
            // A version beyond the range of `bigint` cannot exist in the table.
            Err(_) => return Ok(false),
        };
        Ok(written.doing(&format!("writing the shared state {name}"))?.rows_affected() == 1)
    }
}
