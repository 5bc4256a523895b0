//! Documents that all processes share: read, decide, write if nobody wrote meanwhile.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use sqlx::Row as _;
use tds_core::error::{Error, Result};
use time::OffsetDateTime;

use crate::{PgStore, db::error::classify};

/// Others may write in between this often before it is given up. Each time one of them got on.
const REPEATS: u32 = 100;

const READ: &str = "
SELECT clock_timestamp() AS now, s.version, s.state
  FROM (SELECT 1) one LEFT JOIN tds_shared_states s ON s.name = $1
";

const BEGIN: &str = "
INSERT INTO tds_shared_states (name, version, state) VALUES ($1, 1, $2) ON CONFLICT (name) DO NOTHING
";

const WRITE: &str = "
UPDATE tds_shared_states SET version = version + 1, state = $3, updated_at = clock_timestamp()
 WHERE name = $1 AND version = $2
";

/// A document as it was read, and the time on the database's clock then.
pub(crate) struct Read<S> {
    pub(crate) state: S,
    pub(crate) now: OffsetDateTime,
    version: Option<i64>,
}

impl PgStore {
    /// Changes a document as one step. `change` may be called several times; the last call counts. Its time is
    /// that of the reading: no later than the writing, so that what is decided by it is decided cautiously.
    pub(crate) async fn change<S, T>(
        &self,
        name: &str,
        doing: &str,
        mut change: impl FnMut(&mut S, OffsetDateTime) -> T,
    ) -> Result<T>
    where
        S: Default + Serialize + DeserializeOwned,
    {
        for repeat in 0..REPEATS {
            let mut read: Read<S> = self.read(name, doing).await?;
            let result = change(&mut read.state, read.now);
            let text = serde_json::to_string(&read.state).map_err(|error| {
                Error::internal(format!("{doing}: the state cannot be written")).with_source(error)
            })?;
            let written = match read.version {
                None => sqlx::query(BEGIN).bind(name).bind(text).execute(&self.database).await,
                Some(version) => {
                    sqlx::query(WRITE).bind(name).bind(version).bind(text).execute(&self.database).await
                }
            };
            if written.map_err(|error| classify(error, doing))?.rows_affected() == 1 {
                return Ok(result);
            }
            // Whoever was faster goes on; many at once come apart.
            tokio::time::sleep(Duration::from_millis(u64::from(repeat.min(10)))).await;
        }
        Err(Error::unavailable(format!("{doing}: others were always faster")))
    }

    /// Reads a document.
    pub(crate) async fn read<S: Default + DeserializeOwned>(
        &self,
        name: &str,
        doing: &str,
    ) -> Result<Read<S>> {
        let fault = |error| classify(error, doing);
        let row = sqlx::query(READ).bind(name).fetch_one(&self.database).await.map_err(fault)?;
        let text: Option<String> = row.try_get("state").map_err(fault)?;
        let state = match &text {
            None => S::default(),
            Some(text) => serde_json::from_str(text).map_err(|error| {
                Error::internal(format!("{doing}: the state {name} is not understood")).with_source(error)
            })?,
        };
        Ok(Read {
            state,
            now: row.try_get("now").map_err(fault)?,
            version: row.try_get("version").map_err(fault)?,
        })
    }
}
