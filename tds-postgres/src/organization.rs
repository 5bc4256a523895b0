//! The organization whose records the mirror shows. The views of the mirror follow its time zone and its currency.
//!
//! The engine's schema remembers its organization, so that a process with the id of another organization does not mix the
//! records of both.

use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use crate::{
    PgStore, Setting,
    db::{
        error::{Doing as _, is_data_error},
        owner::owner,
        quote::{statement, table},
        retry,
        text::storable,
    },
};

/// What the source says about the organization. An empty text stands for a value that it does not state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationFacts {
    /// The id of the organization at the source.
    pub id: String,
    /// The name of the organization.
    pub name: String,
    /// The base currency, such as `EUR`.
    pub currency: String,
    /// The time zone, such as `Europe/Berlin`.
    pub time_zone: String,
}

/// Processes with two ids claim one after the other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext(tds_own('tds-organization')), 0)";

const HAS_RULES: &str = "SELECT coalesce(has_table_privilege(to_regclass('tds_redaction'), 'SELECT'), false)";
const RULES: &str = "SELECT rules FROM tds_redaction";

const KEEP: &str = "
INSERT INTO tds_shared_states AS s (name, version, state) VALUES ('organization', 1, $1)
ON CONFLICT (name) DO UPDATE SET version = s.version + 1, state = excluded.state, updated_at = clock_timestamp()
";

impl PgStore {
    /// Makes this database, or these schemas of it, those of an organization, and refuses another organization. Schemas
    /// that hold no record and no event can still get another organization, because the first id may have been wrong.
    ///
    /// # Errors
    /// `Config` if the schemas belong to another organization. Fails if the database does not answer.
    pub async fn claim_organization(&self, id: &str) -> Result<()> {
        let id = storable(id);
        let claim = || async {
            let mut tx = self.database.begin().await?;
            sqlx::query(LOCK).execute(&mut tx).await?;
            let owner = owner(&mut tx).await?;
            let claimed = match owner {
                Some(owner) if owner.as_str() != id => Err(owner),
                _ => {
                    sqlx::query(KEEP).bind(&*id).execute(&mut tx).await?;
                    Ok(())
                }
            };
            tx.commit().await?;
            Ok(claimed)
        };
        let claimed =
            retry::repeat(retry::ALONE, claim).await.doing("claiming the schemas for the organization")?;
        claimed.map_err(|owner| self.database.of_another(&owner, &id))
    }

    /// Like [`PgStore::claim_organization`], and changes nothing: for commands that only look.
    ///
    /// # Errors
    /// The errors of [`PgStore::claim_organization`].
    pub async fn check_organization(&self, id: &str) -> Result<()> {
        let owner = self.owner().await?;
        self.database.refuse_other(owner.as_deref(), id)
    }

    /// Refuses rules of hidden columns that are not those by which the stored data is redacted, if the schemas belong to an
    /// organization: for a command that does not know its own organization, and so may have the rules of another one.
    ///
    /// # Errors
    /// `Config` if the rules are others. Fails if the database does not answer.
    pub async fn check_rules(&self, rules: &str) -> Result<()> {
        if rules.is_empty() {
            return Ok(());
        }
        let Some(owner) = self.owner().await? else { return Ok(()) };
        let doing = "reading by which rules the stored data is redacted";
        let known: bool = sqlx::query_scalar(HAS_RULES).fetch_one(&self.database).await.doing(doing)?;
        let known: Option<String> = match known {
            true => sqlx::query_scalar(RULES).fetch_optional(&self.database).await.doing(doing)?,
            false => None,
        };
        if known.as_deref() == Some(rules) {
            return Ok(());
        }
        Err(Error::config(format!(
            "the schemas at {} belong to the organization {owner}, and other columns were hidden there until now: without \
             the id of the organization nobody knows whether \"{rules}\" is meant for its records",
            self.database.target()
        ))
        .with_hint(Hint::Settings(const { &[Setting::Organization.as_str()] })))
    }

    async fn owner(&self) -> Result<Option<String>> {
        let look = || async {
            let mut tx = self.database.begin().await?;
            let owner = owner(&mut tx).await?;
            tx.rollback().await?;
            Ok(owner)
        };
        retry::repeat(retry::ALONE, look).await.doing("reading whose schemas these are")
    }

    /// Stores what the source says about the organization. Returns false if this database does not know the time zone.
    /// The views then follow UTC.
    ///
    /// # Errors
    /// Fails if the database does not answer.
    pub async fn remember_organization(&self, facts: &OrganizationFacts) -> Result<bool> {
        let doing = "storing the time zone of the organization";
        let time_zone = storable(facts.time_zone.trim());
        let known = match time_zone.as_ref() {
            "" => false,
            time_zone => {
                let tried = sqlx::query("SELECT now() AT TIME ZONE $1").bind(time_zone);
                match tried.execute(&self.database).await {
                    Ok(_) => true,
                    Err(error) if is_data_error(&error) => false,
                    Err(error) => return Err(error).doing(doing),
                }
            }
        };
        let sql = format!(
            "INSERT INTO {} AS o (zoho_id, name, currency_code, time_zone)
             VALUES ($1, NULLIF($2, ''), NULLIF($3, ''), $4)
             ON CONFLICT (id) DO UPDATE SET zoho_id = EXCLUDED.zoho_id, name = EXCLUDED.name,
               currency_code = EXCLUDED.currency_code, time_zone = EXCLUDED.time_zone
             WHERE ROW(o.zoho_id, o.name, o.currency_code, o.time_zone)
               IS DISTINCT FROM ROW(EXCLUDED.zoho_id, EXCLUDED.name, EXCLUDED.currency_code, EXCLUDED.time_zone)",
            table("organization")
        );
        let store = || async {
            let mut tx = self.database.begin_as_engine("").await?;
            let store = sqlx::query(statement(sql.clone()))
                .bind(storable(&facts.id))
                .bind(storable(&facts.name))
                .bind(storable(&facts.currency))
                .bind(known.then_some(time_zone.as_ref()));
            store.execute(&mut tx).await?;
            tx.commit().await
        };
        retry::repeat(retry::ALONE, store).await.doing(doing)?;
        Ok(known)
    }
}
