//! The privileges that the role of the connection needs, and the statements that grant them.

use tds_core::error::{Error, ErrorKind, Result, Retry};

use super::{database::Database, error::classify, migrations::creates_schema, schema_status::SchemaVerdict};

/// Returns the statements that would give the role the missing privileges. `$1`: migrations are missing or functions
/// are not current. `$2`: a missing migration creates a schema. `$3`: the name of the engine's schema, if the configuration
/// has it; a migration creates this schema.
///
/// If the role cannot use the schema of the connection, `current_schema()` is null. The statement then takes the
/// last existing schema of the search path. For tables of another owner, the role needs membership in the owner's
/// role: migrations require it, and row level security lets no other role pass. TDS reads no view of schema `erp`.
const MISSING: &str = "
  WITH here AS (
    SELECT quote_ident(current_user) AS role,
           COALESCE($3, current_schema(), (
             SELECT n.nspname FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY AS p(part, n)
               JOIN pg_namespace n ON n.nspname = btrim(p.part, ' \"') ORDER BY p.n DESC LIMIT 1), 'public') AS schema),
  ours AS (
    SELECT c.relowner, n.nspname, c.relname, c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v')
       AND (n.nspname = 'erp' AND c.relkind <> 'v' OR n.nspname = (SELECT schema FROM here)
            AND (c.relname LIKE 'tds\\_%' OR c.relname = '_sqlx_migrations')))
  SELECT format('GRANT CREATE, USAGE ON SCHEMA %I TO %s', schema, role) FROM here
   WHERE $1 AND ($3 IS NULL OR to_regnamespace(quote_ident($3)) IS NOT NULL) AND NOT COALESCE((
     SELECT has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE')
       FROM pg_namespace n WHERE n.nspname = schema), false)
  UNION ALL
  SELECT format('GRANT CREATE ON DATABASE %I TO %s', current_database(), role) FROM here
   WHERE $1 AND ($2 OR to_regnamespace(quote_ident($3)) IS NULL AND $3 IS NOT NULL)
     AND NOT has_database_privilege(current_database(), 'CREATE')
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
    /// Returns the statements that would give the role of the connection the privileges that it lacks, for a
    /// migration if one is due and for the operation of TDS. The list is empty if nothing is missing.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn missing_grants(&self) -> Result<Vec<String>> {
        let doing = |error| classify(error, "reading the privileges of the role");
        let readable: bool = sqlx::query_scalar(READABLE).fetch_one(self).await.map_err(doing)?;
        // A role that cannot even read the version meets tables of another owner.
        let missing = if readable { Some(self.schema().await?) } else { None };
        let missing = missing
            .filter(|status| matches!(status.verdict, SchemaVerdict::Older | SchemaVerdict::OlderFunctions));
        sqlx::query_scalar(MISSING)
            .bind(missing.is_some())
            .bind(missing.is_some_and(|status| creates_schema(status.applied)))
            .bind(self.schemas().engine.as_ref().map(|name| name.as_str()))
            .fetch_all(self)
            .await
            .map_err(doing)
    }

    /// Fails before a migration starts if the role lacks privileges. The error names the missing grants.
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
