//! The organization whose records the mirror shows. The views of the mirror follow its time zone and its currency.

use tds_core::error::Result;

use crate::{
    PgStore,
    db::{
        error::{Doing as _, is_data_error},
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

impl PgStore {
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
        let store = || {
            sqlx::query(statement(sql.clone()))
                .bind(storable(&facts.id))
                .bind(storable(&facts.name))
                .bind(storable(&facts.currency))
                .bind(known.then_some(time_zone.as_ref()))
                .execute(&self.database)
        };
        retry::repeat(retry::ALONE, store).await.doing(doing)?;
        Ok(known)
    }
}
