//! Whether the two schemas of a configuration belong together: a server with the names of two organizations would mix
//! their records.
//!
//! The triggers of a mirror call functions of its engine. So the catalogue knows the pairs, also after a schema was
//! renamed or restored.

use sqlx::FromRow;
use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use super::{
    database::Database,
    error::Doing as _,
    schemas::{SchemaName, Schemas},
    session::Tx,
    setting::Setting,
};

/// `$1`: the name of the mirror. `here` is NULL if the role may not use the engine's schema, or if the schema does not exist.
const FOUND: &str = "
WITH pairs AS (
  SELECT DISTINCT en.nspname::text AS engine, mn.nspname::text AS mirror
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace mn ON mn.oid = c.relnamespace
    JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace en ON en.oid = p.pronamespace
   WHERE g.tgname = 'tds_keep' AND p.proname = 'tds_refuse_truncate'),
known AS (
  SELECT n.nspname::text AS schema, c.relname::text AS relation FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relname IN ('_sqlx_migrations', 'tds_sync_functions', 'products') AND c.relkind IN ('r', 'p'))
SELECT current_schema()::text AS here,
       ARRAY(SELECT p.engine FROM pairs AS p ORDER BY 1, p.mirror) AS engines,
       ARRAY(SELECT p.mirror FROM pairs AS p ORDER BY p.engine, 1) AS mirrors,
       EXISTS (SELECT FROM known AS k WHERE k.schema = current_schema() AND k.relation = '_sqlx_migrations') AS migrated,
       EXISTS (SELECT FROM known AS k WHERE k.schema = $1 AND k.relation = 'tds_sync_functions') AS is_engine,
       EXISTS (SELECT FROM known AS k WHERE k.schema = $1 AND k.relation = 'products') AS is_mirror
";

/// A role finds a schema of its own name before `public`, so another organization in `public` whose tables belong to
/// the role would lose them.
const ROLE: &str = "
SELECT EXISTS (
  SELECT FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE r.rolname = $1 AND c.relname = 'tds_sync_functions' AND c.relkind = 'r' AND n.nspname = 'public'
     AND pg_has_role(r.oid, c.relowner, 'USAGE'))
";

#[derive(Clone, Debug, Default, FromRow)]
struct Found {
    here: Option<String>,
    /// The pairs: the engine and the mirror at the same index.
    engines: Vec<String>,
    mirrors: Vec<String>,
    /// The engine's schema has the table of versions.
    migrated: bool,
    /// The schema of the mirror has tables of an engine.
    is_engine: bool,
    /// The schema of the mirror has a table of a mirror.
    is_mirror: bool,
}

impl Database {
    /// Refuses schemas that do not belong together.
    pub(super) async fn refuse_wrong_pair(&self) -> Result<()> {
        let found: Found = sqlx::query_as(FOUND)
            .bind(self.schemas().mirror.as_str())
            .fetch_one(self)
            .await
            .doing("finding the schemas of the organization")?;
        match wrong(self.schemas(), &found) {
            Some(problem) => Err(refusal(&problem)),
            None => Ok(()),
        }
    }
}

/// Refuses to create a schema that connections of another organization would then find before their own.
pub(super) async fn refuse_name_of_role(tx: &mut Tx, engine: &SchemaName) -> Result<()> {
    let taken: bool = sqlx::query_scalar(ROLE)
        .bind(engine.as_str())
        .fetch_one(tx)
        .await
        .doing("finding the roles of the database")?;
    if !taken {
        return Ok(());
    }
    Err(refusal(&format!(
        "\"{engine}\" is also the name of a role, whose connections would then find this schema before schema public, \
         where another organization has its tables: choose another name"
    )))
}

fn refusal(problem: &str) -> Error {
    const NAMES: Hint =
        Hint::Settings(const { &[Setting::EngineSchema.as_str(), Setting::MirrorSchema.as_str()] });
    Error::config(format!("the schemas of the organization: {problem}")).with_hint(NAMES)
}

/// Returns what is wrong with the schemas.
fn wrong(schemas: &Schemas, found: &Found) -> Option<String> {
    let mirror = schemas.mirror.as_str();
    let engine = schemas.engine.as_ref().map_or(found.here.as_deref(), |name| Some(name.as_str()))?;
    if engine == mirror {
        return Some(format!("both are \"{engine}\", but the engine and the mirror need a schema each"));
    }
    let pairs = || found.engines.iter().map(String::as_str).zip(found.mirrors.iter().map(String::as_str));
    if pairs().any(|pair| pair == (engine, mirror)) {
        return None;
    }
    if let Some((_, other)) = pairs().find(|pair| pair.0 == engine) {
        return Some(format!(
            "the mirror of the engine in \"{engine}\" is in \"{other}\", not in \"{mirror}\""
        ));
    }
    if let Some((other, _)) = pairs().find(|pair| pair.1 == mirror) {
        return Some(format!(
            "the mirror in \"{mirror}\" belongs to the engine in \"{other}\", not to that in \"{engine}\""
        ));
    }
    if pairs().any(|pair| pair.1 == engine) {
        return Some(format!(
            "\"{engine}\" is the mirror of another organization, so no engine can be there"
        ));
    }
    if found.is_engine || pairs().any(|pair| pair.0 == mirror) {
        return Some(format!(
            "\"{mirror}\" has the engine of another organization, so no mirror can be there"
        ));
    }
    // Before the first migration with triggers, the catalogue knows no pairs.
    if found.is_mirror && !found.migrated && *schemas != Schemas::default() {
        return Some(format!(
            "\"{mirror}\" already has a table \"products\", so it is the mirror of another organization or a schema of \
             another program"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(engine: Option<&str>, mirror: &str, found: Found) -> String {
        let engine = engine.map(|name| name.parse().expect("a name"));
        let schemas = Schemas { engine, mirror: mirror.parse().expect("a name") };
        wrong(&schemas, &found).unwrap_or_default()
    }

    fn found(pairs: &[(&str, &str)]) -> Found {
        Found {
            here: Some("public".to_owned()),
            engines: pairs.iter().map(|pair| pair.0.to_owned()).collect(),
            mirrors: pairs.iter().map(|pair| pair.1.to_owned()).collect(),
            ..Found::default()
        }
    }

    #[test]
    fn schemas_of_two_organizations_are_no_pair() {
        let both = [("public", "erp"), ("tds_de", "erp_de")];
        for (engine, mirror) in
            [(None, "erp"), (Some("public"), "erp"), (Some("tds_de"), "erp_de"), (Some("tds_fr"), "erp_fr")]
        {
            assert_eq!(judge(engine, mirror, found(&both)), "");
        }
        let cases = [
            (Some("tds_de"), "erp", "the mirror of the engine in \"tds_de\" is in \"erp_de\""),
            (Some("tds_fr"), "erp", "belongs to the engine in \"public\""),
            (None, "erp_fr", "the mirror of the engine in \"public\" is in \"erp\""),
            (Some("erp_de"), "erp_fr", "\"erp_de\" is the mirror of another organization"),
            (Some("tds_fr"), "tds_de", "\"tds_de\" has the engine of another organization"),
            (Some("x"), "x", "both are \"x\""),
            (None, "public", "both are \"public\""),
        ];
        for (engine, mirror, expected) in cases {
            let problem = judge(engine, mirror, found(&both));
            assert!(problem.contains(expected), "{engine:?} {mirror}: {problem}");
        }
    }

    #[test]
    fn tables_without_triggers_are_recognised_and_the_default_schemas_stay_as_they_were() {
        let old = Found { is_mirror: true, ..found(&[]) };
        assert!(judge(Some("tds_fr"), "erp", old.clone()).contains("a table \"products\""));
        assert_eq!(judge(Some("tds_fr"), "erp", Found { migrated: true, ..old.clone() }), "");
        assert_eq!(judge(None, "erp", old.clone()), "");
        let nowhere = Found { here: None, ..old };
        assert_eq!(judge(None, "erp", nowhere), "", "the privileges are checked elsewhere");
        let engine = Found { is_engine: true, ..found(&[]) };
        assert!(judge(Some("tds_fr"), "tds_de", engine).contains("has the engine"));
    }
}
