//! The migrations that this program contains, and those that a database has.

use std::collections::BTreeMap;

use sqlx::{PgExecutor, migrate::Migrator};
use tds_core::error::{Error, Result};

use super::{migration_step::Step, session::Tx};

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The oldest version of the schema whose programs work on the present one. A migration that takes away what they use raises
/// the number.
pub(super) const OLDEST_PROGRAM: i64 = 22;

pub(super) const SUPPORT: &str = "
INSERT INTO tds_oldest_program AS o (schema_version) VALUES ($1)
ON CONFLICT (id) DO UPDATE SET schema_version = excluded.schema_version WHERE o.schema_version < excluded.schema_version
";

pub(super) const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
  installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL,
  execution_time BIGINT NOT NULL)";

/// Returns true if a missing migration creates a schema.
pub(crate) fn creates_schema(after: i64) -> bool {
    MIGRATOR
        .iter()
        .any(|migration| migration.version > after && migration.sql.as_str().contains("CREATE SCHEMA"))
}

pub(super) fn expected() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Returns true if the table of the schema versions exists.
pub(super) async fn has_versions<'c>(database: impl PgExecutor<'c>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(database).await
}

/// Returns true if a newer program migrated the database, and its schema keeps this program working: then everything of
/// this program is there, and nothing is to be done.
pub(super) async fn is_supported(tx: &mut Tx, known: &BTreeMap<i64, Vec<u8>>) -> Result<bool, Step> {
    let doing = |error| Step::of(error, "looking for the programs that the schema supports");
    let is_known = |version: i64, checksum: &[u8]| known.get(&version).is_some_and(|known| known == checksum);
    let has_all = MIGRATOR.iter().all(|migration| is_known(migration.version, &migration.checksum));
    let others = || known.keys().filter(|version| !MIGRATOR.version_exists(**version));
    if !has_all || others().next().is_none() || others().any(|version| *version <= expected()) {
        return Ok(false);
    }
    // A program with this schema has the table.
    let oldest = sqlx::query_scalar("SELECT schema_version FROM tds_oldest_program").fetch_optional(tx).await;
    let oldest: Option<i64> = oldest.map_err(doing)?;
    Ok(oldest.is_some_and(|oldest| oldest <= expected()))
}

pub(super) fn refuse_unknown(known: &BTreeMap<i64, Vec<u8>>) -> Result<()> {
    let expected = expected();
    match known.keys().rev().find(|version| !MIGRATOR.version_exists(**version)) {
        None => Ok(()),
        Some(version) if *version > expected => Err(Error::config(format!(
            "the database has schema version {version}, but this program knows {expected}: start the newer TDS \
             instead"
        ))),
        Some(version) => Err(Error::config(format!(
            "the database has schema version {version}, which this program (version {expected}) does not contain: \
             it was migrated by another program"
        ))),
    }
}

/// Applies a migration, and notes that the database has it.
pub(super) async fn apply(tx: &mut Tx, migration: &sqlx::migrate::Migration) -> Result<(), Step> {
    let doing = |error| Step::of(error, &format!("applying migration {}", migration.version));
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

/// Returns the error of a migration that another build applied.
pub(super) fn changed(version: impl std::fmt::Display) -> Error {
    Error::config(format!(
        "migration {version} was applied in another form than the one this program contains: the database \
         was migrated by another build"
    ))
}

/// Returns the migrations by name.
#[cfg(test)]
pub(crate) fn texts() -> Vec<(String, String)> {
    let text = |migration: &sqlx::migrate::Migration| {
        (migration.version.to_string(), migration.sql.as_str().to_owned())
    };
    MIGRATOR.iter().map(text).collect()
}
