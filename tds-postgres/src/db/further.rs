//! Migrations of a program in addition to those of TDS, for the mirror tables of its own entity types.

use tds_core::record::ContentHash;

use super::session::Tx;

/// This table exists in addition to the table of TDS's own versions, whose numbers belong to TDS. A program without
/// further migrations neither creates nor reads this table.
const NAMES: &str = "
CREATE TABLE IF NOT EXISTS tds_sync_further_migrations (
  name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())
";

/// A migration of a program in addition to those of TDS. A further migration is applied once, after the migrations of
/// TDS and in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FurtherMigration {
    /// The name of the migration. No other further migration of the database may have the same name.
    pub name: &'static str,
    /// The statements of the migration. They must not change once they were applied to any database. A change is
    /// another migration.
    pub sql: &'static str,
}

/// The result of applying a further migration.
pub(crate) enum Further {
    /// The migration was applied now.
    Applied,
    /// The migration was applied before.
    Known,
    /// A migration of this name was applied before with other statements.
    Changed,
}

impl FurtherMigration {
    /// Applies the migration if it is missing.
    pub(crate) async fn apply(&self, tx: &mut Tx) -> Result<Further, sqlx::Error> {
        sqlx::raw_sql(NAMES).execute(&mut *tx).await?;
        let hash = ContentHash::of_bytes(self.sql.as_bytes());
        let known: Option<String> =
            sqlx::query_scalar("SELECT hash FROM tds_sync_further_migrations WHERE name = $1")
                .bind(self.name)
                .fetch_optional(&mut *tx)
                .await?;
        match known {
            Some(known) if known == hash.as_str() => return Ok(Further::Known),
            Some(_) => return Ok(Further::Changed),
            None => {}
        }
        sqlx::raw_sql(self.sql).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO tds_sync_further_migrations (name, hash) VALUES ($1, $2)")
            .bind(self.name)
            .bind(hash.as_str())
            .execute(&mut *tx)
            .await?;
        Ok(Further::Applied)
    }
}
