//! Reports which roles can read or change the objects of TDS.

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
const ACCESS: &str = "
  WITH objects AS (
    SELECT c.relowner AS owner, n.nspname = 'erp' AS mirrored, format('%I.%I', n.nspname, c.relname) AS object,
           CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END AS kind,
           a.grantee, a.privilege_type AS privilege
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (
       SELECT grantee, privilege_type FROM aclexplode(c.relacl)
       UNION SELECT x.grantee, x.privilege_type FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = c.oid) AS a
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND (n.nspname = 'erp' OR n.nspname = current_schema()
            AND (c.relname LIKE 'tds\\_%' OR c.relname = '_sqlx_migrations'))
    UNION ALL
    SELECT p.proowner, n.nspname = 'erp', p.oid::regprocedure::text, 'function', a.grantee, a.privilege_type
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS a
     WHERE (n.nspname = 'erp' OR n.nspname = current_schema() AND p.proname LIKE 'tds\\_%')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                          AND d.deptype = 'e')
    UNION ALL
    SELECT n.nspowner, true, n.nspname::text, 'schema', a.grantee, a.privilege_type
      FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a WHERE n.nspname = 'erp'),
  outsiders AS (SELECT oid, rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated')),
  held AS (
    SELECT 'PUBLIC' AS role, true AS outside, o.* FROM objects o WHERE o.grantee = 0
    UNION ALL
    SELECT u.rolname, true, o.* FROM objects o JOIN outsiders u ON o.grantee <> 0 AND pg_has_role(u.oid, o.grantee, 'USAGE')
    UNION ALL
    SELECT r.rolname, false, o.* FROM objects o JOIN pg_roles r ON r.oid = o.grantee
     WHERE r.oid <> o.owner AND r.oid NOT IN (SELECT oid FROM outsiders))
  SELECT role::text AS role, outside AND NOT (mirrored AND role = ANY ($1) AND privilege IN ('SELECT', 'USAGE')) AS exposed,
         object, kind, array_agg(DISTINCT privilege ORDER BY privilege) AS privileges
    FROM held GROUP BY 1, 2, object, kind ORDER BY role, object";

#[derive(FromRow)]
struct Held {
    exposed: bool,
    #[sqlx(flatten)]
    access: Access,
}

impl Database {
    /// Returns the roles that can read or change the objects of TDS. The roles in `readers` may read schema `erp`.
    /// The call changes nothing.
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
