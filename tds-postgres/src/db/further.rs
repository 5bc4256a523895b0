//! Migrations that a program has beside those of TDS: mirror tables of entity types of its own.

use tds_core::record::ContentHash;

use super::session::Tx;

/// The table stands beside that of TDS's own versions, whose numbers belong to TDS. A program without further migrations
/// neither makes it nor looks at it.
const NAMES: &str = "
CREATE TABLE IF NOT EXISTS tds_sync_further_migrations (
  name text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())
";

/// A migration that a program has beside those of TDS. It is applied once, after them and in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FurtherMigration {
    /// What it is called: no other migration of the database may have the name.
    pub name: &'static str,
    /// Its statements. They must not change once they were applied somewhere: a change is another migration.
    pub sql: &'static str,
}

/// What became of a further migration.
pub(crate) enum Further {
    /// It was applied just now.
    Applied,
    /// It was applied before.
    Known,
    /// It was applied before, with other statements.
    Changed,
}

impl FurtherMigration {
    /// Applies the migration where it is missing.
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
