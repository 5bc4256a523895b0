//! How the schema of a database stands to this program.

use std::cmp::Ordering;

use tds_core::error::Result;

use super::{
    database::Database,
    error::classify,
    functions::stale,
    migrations::{expected, has_versions},
};

/// The status of the database's schema relative to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The version of the database's schema. 0 stands for an empty database.
    pub applied: i64,
    /// The version that this program needs.
    pub expected: i64,
    /// What the two versions and the functions of the schema mean for this program.
    pub verdict: SchemaVerdict,
}

/// The verdict on the database's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaVerdict {
    /// The schema is what this program needs.
    Current,
    /// Migrations are missing. An empty database lacks all of them.
    Older,
    /// No migration is missing, but functions are missing or come from an older program.
    OlderFunctions,
    /// A newer program migrated the database. The migrations and functions of a newer program keep this program
    /// working.
    Newer,
}

impl SchemaStatus {
    /// Returns true if the schema is what this program needs.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.verdict == SchemaVerdict::Current
    }
}

impl Database {
    /// Returns the status of the schema relative to this program. The call changes nothing.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn schema(&self) -> Result<SchemaStatus> {
        let doing = |error| classify(error, "reading the version of the schema");
        let mut applied = 0;
        if has_versions(self).await.map_err(doing)? {
            let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
            applied = sqlx::query_scalar(newest).fetch_one(self).await.map_err(doing)?;
        }
        let expected = expected();
        let verdict = match applied.cmp(&expected) {
            Ordering::Less => SchemaVerdict::Older,
            Ordering::Greater => SchemaVerdict::Newer,
            Ordering::Equal => match stale(self, self.schemas()).await.map_err(doing)?.len() {
                0 => SchemaVerdict::Current,
                _ => SchemaVerdict::OlderFunctions,
            },
        };
        Ok(SchemaStatus { applied, expected, verdict })
    }
}
