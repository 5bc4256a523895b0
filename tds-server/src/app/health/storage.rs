//! The health of the database and its schema. No webhook can be stored without them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use tds_core::hint::Hint;
use tds_postgres::{Database, SchemaStatus, SchemaVerdict};

use super::{ComponentHealth, HealthStatus, Probe};
use crate::hint::{READ_ONLY, command};

/// The longest wait for an answer of the database. It is shorter than the patience for a whole check.
const READ_WITHIN: Duration = Duration::from_millis(1_500);

/// Checks whether the database answers.
pub(crate) struct DatabaseProbe(pub(crate) Database);

#[async_trait]
impl Probe for DatabaseProbe {
    fn name(&self) -> &'static str {
        "database"
    }

    fn is_essential(&self) -> bool {
        true
    }

    async fn check(&self) -> Option<ComponentHealth> {
        Some(match self.0.ping(READ_WITHIN).await {
            Ok(took) => {
                ComponentHealth::healthy(format!("answers in {:.1} ms", took.as_secs_f64() * 1_000.0))
            }
            Err(error) if error.hint() == Some(&Hint::AcceptWrites) => {
                tracing::warn!(error = %error.explain(command), "the database is read-only");
                ComponentHealth::unhealthy(format!("is read-only; {READ_ONLY}"))
            }
            Err(error) => {
                tracing::warn!(error = %error.explain(command), "the database does not answer");
                ComponentHealth::unhealthy(format!("{error}; tds-server check says what to do"))
            }
        })
    }
}

/// Checks whether the schema is the one that this program needs.
///
/// A schema that was right stays right while its version cannot be read: only an answer changes the verdict. Whether
/// the database answers at all is the verdict of [`DatabaseProbe`].
pub(crate) struct MigrationsProbe {
    database: Database,
    was_right: AtomicBool,
}

impl MigrationsProbe {
    /// Creates a probe that checks this database.
    pub(crate) fn new(database: Database) -> Self {
        Self { database, was_right: AtomicBool::new(false) }
    }

    fn judge(SchemaStatus { applied, expected, verdict }: SchemaStatus) -> ComponentHealth {
        match verdict {
            SchemaVerdict::Current => ComponentHealth::healthy(format!("schema version {applied}")),
            // A newer program has migrated the schema while this one still runs.
            SchemaVerdict::Newer => ComponentHealth::healthy(format!(
                "schema version {applied}, which is newer than version {expected} of this program"
            )),
            SchemaVerdict::OlderFunctions => ComponentHealth::unhealthy(format!(
                "the functions of schema version {applied} are not those of this program; run tds-server migrate"
            )),
            SchemaVerdict::Older => ComponentHealth::unhealthy(format!(
                "schema version {applied} instead of {expected}; run tds-server migrate"
            )),
        }
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

    async fn check(&self) -> Option<ComponentHealth> {
        Some(match tokio::time::timeout(READ_WITHIN, self.database.schema()).await {
            Ok(Ok(schema)) => {
                let component = Self::judge(schema);
                self.was_right.store(component.state == HealthStatus::Healthy, Ordering::Relaxed);
                component
            }
            Ok(Err(_)) | Err(_) if self.was_right.load(Ordering::Relaxed) => {
                ComponentHealth::healthy("the schema was right when its version was last read")
            }
            Ok(Err(_)) | Err(_) => ComponentHealth::unhealthy("the version of the schema cannot be read"),
        })
    }
}
