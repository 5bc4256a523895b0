//! Bringing the schema up to date.

use std::{collections::BTreeMap, time::Duration};

use sqlx::migrate::Migrator;
use tds_core::{Error, ErrorKind, Result, Retry};

use crate::{Database, error::classify, session::Tx};

/// A migration of large tables takes its time, and waits for whoever uses them.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// What [`Database::migrate`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// `host:port/name`.
    pub target: String,
    /// The schema's version before; 0 on an empty database.
    pub from: i64,
    /// The schema's version now.
    pub to: i64,
    /// The versions that were applied just now.
    pub applied: Vec<i64>,
}

/// How the schema stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The version of the database; 0 on an empty one.
    pub applied: i64,
    /// The version that this program needs.
    pub expected: i64,
}

impl SchemaStatus {
    /// The database is as this program needs it.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.applied == self.expected
    }

    /// The database was migrated by a newer program.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.applied > self.expected
    }
}

impl Database {
    /// Applies the migrations that are missing, all in one transaction. Several processes may call it at once: they wait for each other.
    ///
    /// # Errors
    /// `Config` where the schema is newer than this program, or an applied migration is not the one this
    /// program knows; the database's own errors else. Then nothing was changed.
    pub async fn migrate(&self) -> Result<MigrationReport> {
        let doing = |error| classify(error, "migrating the database");
        let mut tx = self.begin().await.map_err(doing)?;
        tx.set_silence(PATIENCE);
        // A lock of the transaction, not of the session: sessions do not exist behind a pooler.
        sqlx::raw_sql(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL client_min_messages = warning;
             SELECT pg_advisory_xact_lock(hashtext('tds-migrations'), hashtext(current_database()));
             CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
               installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL,
               execution_time BIGINT NOT NULL)",
        )
        .execute(&mut tx)
        .await
        .map_err(doing)?;
        let known = checksums(&mut tx).await.map_err(doing)?;
        let from = known.keys().next_back().copied().unwrap_or(0);
        refuse_unknown(&known, &self.schema_of(from))?;
        let mut applied = Vec::new();
        for migration in MIGRATOR.iter() {
            match known.get(&migration.version) {
                Some(checksum) if *checksum == *migration.checksum => {}
                Some(_) => return Err(changed(migration.version)),
                None => {
                    apply(&mut tx, migration).await?;
                    applied.push(migration.version);
                }
            }
        }
        tx.commit().await.map_err(doing)?;
        Ok(MigrationReport { target: self.target().to_owned(), from, to: expected(), applied })
    }

    /// How the schema stands to this program. Changes nothing.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn schema(&self) -> Result<SchemaStatus> {
        let doing = |error| classify(error, "reading the version of the schema");
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(self)
            .await
            .map_err(doing)?;
        if !exists {
            return Ok(self.schema_of(0));
        }
        let applied: i64 =
            sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
                .fetch_one(self)
                .await
                .map_err(doing)?;
        Ok(self.schema_of(applied))
    }

    fn schema_of(&self, applied: i64) -> SchemaStatus {
        SchemaStatus { applied, expected: expected() }
    }
}

/// A text that changes with every change of a migration.
#[cfg(feature = "testkit")]
pub(crate) fn fingerprint() -> String {
    let all: Vec<u8> = MIGRATOR.iter().flat_map(|migration| migration.checksum.to_vec()).collect();
    tds_core::ContentHash::of_bytes(&all).as_str().chars().take(16).collect()
}

fn expected() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn checksums(tx: &mut Tx) -> Result<BTreeMap<i64, Vec<u8>>, sqlx::Error> {
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().collect())
}

fn refuse_unknown(known: &BTreeMap<i64, Vec<u8>>, status: &SchemaStatus) -> Result<()> {
    if status.is_newer() {
        return Err(config(format!(
            "the database has schema version {}, this program knows {}: start the newer TDS instead",
            status.applied, status.expected
        )));
    }
    match known.keys().find(|version| !MIGRATOR.version_exists(**version)) {
        None => Ok(()),
        Some(version) => Err(config(format!(
            "the database has schema version {version}, which this program (version {}) does not contain: \
             it was migrated by another program",
            status.expected
        ))),
    }
}

async fn apply(tx: &mut Tx, migration: &sqlx::migrate::Migration) -> Result<()> {
    let doing = |error| classify(error, &format!("applying migration {}", migration.version));
    let began = tokio::time::Instant::now();
    sqlx::raw_sql(migration.sql.clone()).execute(&mut *tx).await.map_err(doing)?;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ($1, $2, true, $3, $4)",
    )
    .bind(migration.version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .bind(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX))
    .execute(tx)
    .await
    .map_err(doing)?;
    Ok(())
}

fn changed(version: i64) -> Error {
    config(format!(
        "migration {version} was applied in another form than the one this program contains: the database \
         was migrated by another build"
    ))
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, Retry::Permanent, message)
}
