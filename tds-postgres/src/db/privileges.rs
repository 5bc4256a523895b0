//! What the role of the connection must be allowed to do, and the statements that allow it.

use tds_core::error::{Error, ErrorKind, Result, Retry};

use super::{database::Database, error::classify, migrate::creates_schema};

/// Which statements would give the role what it lacks. `$1`: migrations are missing or functions are
/// not current; `$2`: a migration that is missing creates a schema.
///
/// Where the schema of the connection cannot be used, `current_schema()` is null: then the last one of the search path
/// that exists is meant. Tables of another owner are a matter of membership: their migrations need it, and row level
/// security lets nobody else pass.
const MISSING: &str = "
  WITH here AS (
    SELECT quote_ident(current_user) AS role,
           COALESCE(current_schema(), (
             SELECT n.nspname FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY AS p(part, n)
               JOIN pg_namespace n ON n.nspname = btrim(p.part, ' \"') ORDER BY p.n DESC LIMIT 1), 'public') AS schema),
  ours AS (
    SELECT c.relowner, n.nspname, c.relname, c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v')
       AND (n.nspname = 'erp' OR n.nspname = (SELECT schema FROM here)
            AND (c.relname LIKE 'tds\\_%' OR c.relname = '_sqlx_migrations')))
  SELECT format('GRANT CREATE, USAGE ON SCHEMA %I TO %s', schema, role) FROM here
   WHERE $1 AND NOT COALESCE((
     SELECT has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE')
       FROM pg_namespace n WHERE n.nspname = schema), false)
  UNION ALL
  SELECT format('GRANT CREATE ON DATABASE %I TO %s', current_database(), role) FROM here
   WHERE $1 AND $2 AND NOT has_database_privilege(current_database(), 'CREATE')
  UNION ALL
  SELECT format('GRANT CREATE, USAGE ON SCHEMA erp TO %s', role) FROM here, pg_namespace n
   WHERE $1 AND n.nspname = 'erp'
     AND NOT (has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE'))
  UNION ALL
  SELECT DISTINCT format('GRANT %I TO %s', pg_get_userbyid(ours.relowner), role) FROM here, ours
   WHERE NOT pg_has_role(ours.relowner, 'USAGE')
     AND ($1 OR NOT has_schema_privilege(ours.nspname, 'USAGE')
          OR NOT (has_table_privilege(ours.oid, 'SELECT')
                  AND (ours.relname IN ('_sqlx_migrations', 'tds_sync_functions') OR has_table_privilege(ours.oid, 'INSERT')
                       AND has_table_privilege(ours.oid, 'UPDATE') AND has_table_privilege(ours.oid, 'DELETE')))
          OR row_security_active(ours.oid) AND NOT EXISTS (
               SELECT FROM pg_policy p, unnest(p.polroles) AS r(oid)
                WHERE p.polrelid = ours.oid AND (r.oid = 0 OR pg_has_role(r.oid, 'USAGE'))))";

const READABLE: &str = "
  SELECT COALESCE(has_table_privilege(to_regclass('_sqlx_migrations'), 'SELECT'), true)
     AND COALESCE(has_table_privilege(to_regclass('tds_sync_functions'), 'SELECT'), true)";

impl Database {
    /// The statements that would give the role of the connection what it lacks, for migrating where that is due and for
    /// working; empty where nothing is lacking.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn missing_grants(&self) -> Result<Vec<String>> {
        let doing = |error| classify(error, "reading the privileges of the role");
        let readable: bool = sqlx::query_scalar(READABLE).fetch_one(self).await.map_err(doing)?;
        // Who may not even read the version has another owner's tables before him.
        let missing = if readable { Some(self.schema().await?) } else { None };
        let missing = missing.filter(|status| !status.is_current() && !status.is_newer());
        sqlx::query_scalar(MISSING)
            .bind(missing.is_some())
            .bind(missing.is_some_and(|status| creates_schema(status.applied)))
            .fetch_all(self)
            .await
            .map_err(doing)
    }

    /// Where a migration would fail for want of privileges, says which, before anything is tried.
    pub(crate) async fn refuse_without_privileges(&self) -> Result<()> {
        let missing = self.missing_grants().await?;
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unauthorized,
            Retry::Permanent,
            format!(
                "migrating the database at {}: its role lacks privileges; let the owner of the database or a superuser \
                 run: {}",
                self.target(),
                missing.join("; ")
            ),
        ))
    }
}
