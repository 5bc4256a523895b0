//! The documents that all processes share: [`SharedState`] over the table `tds_shared_states`.

use async_trait::async_trait;
use sqlx::Row as _;
use tds_core::{
    error::Result,
    limits::shared_state::{Document, SharedState},
};

use crate::{
    PgStore,
    db::{error::classify, text::storable},
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
        let fault = |error| classify(error, &format!("reading the shared state {name}"));
        let row = sqlx::query(LOAD).bind(storable(name)).fetch_one(&self.database).await.map_err(fault)?;
        let version: Option<i64> = row.try_get("version").map_err(fault)?;
        Ok(Document {
            version: version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0),
            text: row.try_get("state").map_err(fault)?,
            now: row.try_get("now").map_err(fault)?,
        })
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
        let fault = |error| classify(error, &format!("writing the shared state {name}"));
        Ok(written.map_err(fault)?.rows_affected() == 1)
    }
}
