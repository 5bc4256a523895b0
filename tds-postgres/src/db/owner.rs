//! To which organization the schemas belong, whatever their version is.

use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use super::{database::Database, session::Tx, setting::Setting, text::storable};

/// A row of the documents that all processes share. The id in it is that of the organization.
const KEPT: &str = "SELECT state FROM tds_shared_states WHERE name = 'organization'";

/// What was read from the source, for databases that kept no id.
const SHOWN: &str = "SELECT zoho_id FROM erp.organization LIMIT 1";

/// The tables that say whose schemas these are, as far as this role may read them. An older schema lacks one or both, and
/// an empty database lacks both.
const READABLE: &str = "
SELECT coalesce(has_table_privilege(to_regclass('tds_shared_states'), 'SELECT'), false),
       coalesce(has_table_privilege(to_regclass('erp.organization'), 'SELECT'), false)
";

const USED: &str = "
SELECT EXISTS (SELECT FROM tds_sync_records) OR EXISTS (SELECT FROM tds_inbox_events) OR EXISTS (SELECT FROM erp.organization)
";

impl Database {
    /// Refuses schemas of another organization. `owner`: to which they belong, if they are not free.
    pub(crate) fn refuse_other(&self, owner: Option<&str>, id: &str) -> Result<()> {
        match owner {
            Some(owner) if owner != storable(id) => Err(self.of_another(owner, id)),
            _ => Ok(()),
        }
    }

    pub(crate) fn of_another(&self, owner: &str, id: &str) -> Error {
        const NAMES: Hint =
            Hint::Settings(const { &[Setting::EngineSchema.as_str(), Setting::MirrorSchema.as_str()] });
        let schemas = self.schemas();
        let both = match &schemas.engine {
            Some(engine) => format!("the schemas {engine} and {}", schemas.mirror),
            None => format!("the schema of the connection and schema {}", schemas.mirror),
        };
        Error::config(format!(
            "{both} at {} belong to the organization {owner}, not to {id}: each organization of a database has two schemas \
             of its own",
            self.target()
        ))
        .with_hint(NAMES)
    }
}

/// Returns the organization to which the schemas belong, whatever their version is. `None`: they are free, or the role may
/// not read whose they are, and so can change nothing in them either.
pub(crate) async fn owner(tx: &mut Tx) -> Result<Option<String>, sqlx::Error> {
    let (keeps, shows): (bool, bool) = sqlx::query_as(READABLE).fetch_one(&mut *tx).await?;
    let kept: Option<String> = match keeps {
        true => sqlx::query_scalar(KEPT).fetch_optional(&mut *tx).await?,
        false => None,
    };
    match kept {
        Some(kept) => {
            let used: bool = sqlx::query_scalar(USED).fetch_one(tx).await?;
            Ok(used.then_some(kept))
        }
        None if shows => sqlx::query_scalar(SHOWN).fetch_optional(tx).await,
        None => Ok(None),
    }
}
