//! The health of the database and its schema. No webhook can be stored without them.

use async_trait::async_trait;
use tds_postgres::Database;

use crate::app::health::{ComponentHealth, Probe};

/// Checks whether the database answers.
pub struct DatabaseProbe(Database);

impl DatabaseProbe {
    /// Creates a probe that checks this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }
}

#[async_trait]
impl Probe for DatabaseProbe {
    fn name(&self) -> &'static str {
        "database"
    }

    fn is_essential(&self) -> bool {
        true
    }

    async fn check(&self) -> ComponentHealth {
        match self.0.ping().await {
            Ok(took) => {
                ComponentHealth::healthy(format!("answers in {:.1} ms", took.as_secs_f64() * 1_000.0))
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "the database does not answer");
                ComponentHealth::unhealthy("does not answer; the log says why")
            }
        }
    }
}

/// Checks whether the schema is the one that this program needs.
pub struct MigrationsProbe(Database);

impl MigrationsProbe {
    /// Creates a probe that checks this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }
}

#[async_trait]
impl Probe for MigrationsProbe {
    fn name(&self) -> &'static str {
        "migrations"
    }

    fn is_essential(&self) -> bool {
        true
    }

    async fn check(&self) -> ComponentHealth {
        match self.0.schema().await {
            Ok(schema) if schema.is_current() => {
                ComponentHealth::healthy(format!("schema version {}", schema.applied))
            }
            // A newer program has migrated the schema while this one still runs. Migrations keep the older program
            // working.
            Ok(schema) if schema.is_newer() => ComponentHealth::healthy(format!(
                "schema version {}, which is newer than version {} of this program",
                schema.applied, schema.expected
            )),
            Ok(schema) if schema.applied == schema.expected => ComponentHealth::unhealthy(format!(
                "the functions of schema version {} are not those of this program; run tds-server migrate",
                schema.applied
            )),
            Ok(schema) => ComponentHealth::unhealthy(format!(
                "schema version {} instead of {}; run tds-server migrate",
                schema.applied, schema.expected
            )),
            Err(_) => ComponentHealth::unhealthy("the version of the schema cannot be read"),
        }
    }
}
