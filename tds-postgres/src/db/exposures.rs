//! Reports which roles can read or change the objects of TDS, also through objects that are not those of TDS.

use sqlx::FromRow;
use tds_core::error::Result;

use super::{database::Database, error::Doing as _};

/// The privileges of one role on one object.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Access {
    /// The name of the role, or `PUBLIC`.
    pub role: String,
    /// The name of the object with its schema.
    pub object: String,
    /// The kind of the object: `table`, `view`, `sequence`, `function` or `schema`.
    pub kind: String,
    /// The privileges: `SELECT`, `INSERT`, …
    pub privileges: Vec<String>,
    /// For a privilege that should not exist on an object that is not one of TDS or belongs to another role: the statement
    /// with which the owner of the object ends it, or two, of which one does. `None`: [`Database::migrate_with`] revokes the privileges that should not exist.
    pub remedy: Option<String>,
}

/// The roles that can read or change the objects of TDS, except the owner and superusers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposures {
    /// Privileges that should not exist: those of `PUBLIC`, and those of the roles of a web API that requires no
    /// password.
    pub exposures: Vec<Access>,
    /// Privileges of roles that an operator named in a grant.
    pub granted: Vec<Access>,
}

/// `$1`: the roles that may read schema `erp`.
///
/// Inherited privileges count as well. Row level security is not considered: it does not stop TRUNCATE, and an object
/// whose privileges are revoked needs no second barrier.
///
/// `reached` has everything that reads a relation of TDS. `own` is true if the object reads with the privileges of its own
/// owner, so that whoever may read the object needs no privilege on the tables. A view with `security_invoker` reads as
/// the role that asks, also if another view reads it. A materialized view has what its owner read. A function with the
/// privileges of its owner is known if its body is of the SQL standard: only then PostgreSQL knows what it reads.
const ACCESS: &str = "
  WITH RECURSIVE ours AS (
    SELECT c.oid, c.relkind, c.relowner AS owner, c.relacl, n.nspname = 'erp' AS mirrored,
           format('%I.%I', n.nspname, c.relname) AS object,
           EXISTS (SELECT FROM pg_options_to_table(c.reloptions) AS x
                    WHERE x.option_name = 'security_invoker' AND x.option_value::boolean) AS invoker
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND (n.nspname = 'erp' OR n.nspname = current_schema()
            AND (c.relname LIKE 'tds\\_%' OR c.relname = '_sqlx_migrations'))),
  reached AS (
    SELECT o.oid, 'pg_class'::regclass::oid AS catalogue, NOT o.invoker AS own, o.mirrored FROM ours o WHERE o.relkind <> 'S'
    UNION
    SELECT f.oid, f.catalogue, f.own, r.mirrored
      FROM reached r
     CROSS JOIN LATERAL (
       SELECT c.oid, 'pg_class'::regclass::oid AS catalogue,
              c.relkind = 'm' OR r.own
                AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) AS x
                                 WHERE x.option_name = 'security_invoker' AND x.option_value::boolean)
                AND has_any_column_privilege(c.relowner, r.oid, 'SELECT, INSERT, UPDATE') AS own
         FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class c ON c.oid = w.ev_class
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid
          AND c.oid <> r.oid AND c.relkind IN ('v', 'm') AND c.oid NOT IN (SELECT o.oid FROM ours o)
       UNION ALL
       SELECT p.oid, 'pg_proc'::regclass, true
         FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid
          AND p.prosecdef AND p.pronamespace <> COALESCE(to_regnamespace('erp'), 0)
          AND NOT (p.pronamespace = COALESCE(to_regnamespace(quote_ident(current_schema())), 0) AND p.proname LIKE 'tds\\_%')
     ) AS f WHERE r.catalogue = 'pg_class'::regclass),
  engine AS (SELECT c.relowner AS owner FROM pg_class c WHERE c.oid = to_regclass('tds_sync_functions')),
  objects AS (
    -- Only the owner of an object can revoke its privileges. So `migrate` leaves an object in schema erp that belongs to
    -- another role, such as a materialized view, as it is.
    SELECT o.owner, o.mirrored,
           COALESCE((SELECT NOT pg_has_role(e.owner, o.owner, 'USAGE') FROM engine e), false) AS foreign_object, o.object,
           CASE o.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END AS kind,
           a.grantee, a.grantor, a.privilege, NULL::text AS otherwise
      FROM ours o
     CROSS JOIN LATERAL (
       SELECT grantee, grantor, privilege_type AS privilege FROM aclexplode(o.relacl)
       UNION SELECT x.grantee, x.grantor, x.privilege_type FROM pg_attribute t, aclexplode(t.attacl) x
              WHERE t.attrelid = o.oid) AS a
    UNION ALL
    SELECT p.proowner, n.nspname = 'erp', false, p.oid::regprocedure::text, 'function', a.grantee, a.grantor,
           a.privilege_type, NULL
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
     WHERE (n.nspname = 'erp' OR n.nspname = current_schema() AND p.proname LIKE 'tds\\_%')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                          AND d.deptype = 'e')
    UNION ALL
    SELECT n.nspowner, true, false, n.nspname::text, 'schema', a.grantee, a.grantor, a.privilege_type, NULL
      FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a WHERE n.nspname = 'erp'
    UNION ALL
    -- Who may create objects in the engine's schema could put one of its own in the place of another.
    SELECT n.nspowner, false, true, n.nspname::text, 'schema', a.grantee, a.grantor, a.privilege_type, NULL
      FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
     WHERE n.nspname = current_schema() AND n.nspname <> 'erp' AND a.privilege_type = 'CREATE'
    UNION ALL
    SELECT c.relowner, v.mirrored, true, format('%I.%I', n.nspname, c.relname), 'view', a.grantee, a.grantor, a.privilege,
           CASE WHEN c.relkind = 'v' AND current_setting('server_version_num')::int >= 150000
                THEN format('ALTER VIEW %I.%I SET (security_invoker = true)', n.nspname, c.relname) END
      FROM (SELECT r.oid, bool_and(r.mirrored) AS mirrored FROM reached r
             WHERE r.own AND r.catalogue = 'pg_class'::regclass AND r.oid NOT IN (SELECT o.oid FROM ours o) GROUP BY r.oid) AS v
      JOIN pg_class c ON c.oid = v.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (
       SELECT grantee, grantor, privilege_type AS privilege FROM aclexplode(c.relacl)
       UNION SELECT x.grantee, x.grantor, x.privilege_type FROM pg_attribute t, aclexplode(t.attacl) x
              WHERE t.attrelid = c.oid) AS a
    UNION ALL
    -- Every function may be executed by everybody until somebody revokes that, so the schema counts too.
    SELECT p.proowner, true, true, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
           'function', a.grantee, a.grantor, a.privilege_type, NULL
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
     WHERE p.oid IN (SELECT r.oid FROM reached r WHERE r.catalogue = 'pg_proc'::regclass)
       AND EXISTS (SELECT FROM aclexplode(n.nspacl) s WHERE s.grantee <> n.nspowner AND s.privilege_type = 'USAGE')),
  outsiders AS (SELECT oid, rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')),
  held AS (
    SELECT 'PUBLIC' AS role, true AS outside, o.* FROM objects o WHERE o.grantee = 0
    UNION ALL
    SELECT u.rolname, true, o.* FROM objects o JOIN outsiders u ON o.grantee <> 0 AND pg_has_role(u.oid, o.grantee, 'USAGE')
    UNION ALL
    SELECT r.rolname, false, o.* FROM objects o JOIN pg_roles r ON r.oid = o.grantee
     WHERE r.oid <> o.owner AND r.oid NOT IN (SELECT oid FROM outsiders) AND NOT (o.foreign_object AND o.kind = 'schema'))
  SELECT h.role::text AS role,
         outside AND NOT (mirrored AND role = ANY ($1) AND privilege IN ('SELECT', 'USAGE')) AS exposed,
         object, kind, array_agg(DISTINCT privilege ORDER BY privilege) AS privileges,
         CASE WHEN foreign_object AND outside THEN concat_ws(' or ', string_agg(DISTINCT
           CASE WHEN h.grantor = h.owner THEN
             format('REVOKE %s ON %s%s FROM %s', CASE kind WHEN 'schema' THEN privilege ELSE 'ALL' END,
               CASE kind WHEN 'schema' THEN 'SCHEMA ' WHEN 'function' THEN 'FUNCTION ' END,
               CASE kind WHEN 'schema' THEN quote_ident(object) ELSE object END,
               CASE h.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(h.grantee)) END)
           ELSE
             format('REVOKE GRANT OPTION FOR %s ON %s%s FROM %I CASCADE', CASE kind WHEN 'schema' THEN privilege ELSE 'ALL' END,
               CASE kind WHEN 'schema' THEN 'SCHEMA ' WHEN 'function' THEN 'FUNCTION ' END,
               CASE kind WHEN 'schema' THEN quote_ident(object) ELSE object END, pg_get_userbyid(h.grantor)) END, '; '),
           h.otherwise) END AS remedy
    FROM held h GROUP BY h.role, 2, object, kind, foreign_object, outside, otherwise ORDER BY role, object";

#[derive(FromRow)]
struct Held {
    exposed: bool,
    #[sqlx(flatten)]
    access: Access,
}

impl Database {
    /// Returns the roles that can read or change the objects of TDS, also through views of others that read them with the
    /// privileges of their owner. The roles in `readers` may read schema `erp`. The call changes nothing.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn exposures(&self, readers: &[String]) -> Result<Exposures> {
        let held: Vec<Held> = sqlx::query_as(ACCESS)
            .bind(readers)
            .fetch_all(self)
            .await
            .doing("reading who may read the tables")?;
        let (exposed, granted): (Vec<Held>, Vec<Held>) = held.into_iter().partition(|held| held.exposed);
        let access = |held: Vec<Held>| held.into_iter().map(|held| held.access).collect();
        Ok(Exposures { exposures: access(exposed), granted: access(granted) })
    }
}
