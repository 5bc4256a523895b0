//! What is not kept: hidden columns, and how long the bodies of events are kept.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tds_zoho::{
    TokenKey,
    entities::{Catalogue, HashKey, HideRule, How},
};

use super::{ConfigError, lookup::Reader};

const VARIABLE: &str = "TDS_HIDE_COLUMNS";

/// `TDS_HIDE_COLUMNS` and `TDS_PAYLOAD_RETENTION`.
#[derive(Clone, Debug)]
pub struct PrivacyConfig {
    /// The hidden columns, in the order in which they were written.
    rules: Vec<HideRule>,
    key: Option<HashKey>,
    /// The age at which the bodies of ended events are blanked.
    pub payload_retention: Duration,
}

impl PrivacyConfig {
    pub(super) fn read(reader: &mut Reader<'_>, retention: Duration) -> Self {
        let accepted = "TABLE.COLUMN or TABLE.COLUMN=hash, several separated by commas, such as \
                        customers.phone,customers.email=hash";
        let mut rules: Vec<HideRule> = Vec::new();
        for text in reader.list(VARIABLE) {
            let Ok(rule) = text.parse::<HideRule>() else {
                reader.error(VARIABLE, format!("\"{text}\""), accepted);
                continue;
            };
            if rules.iter().any(|other| (&other.place, &other.column) == (&rule.place, &rule.column)) {
                reader.error(VARIABLE, format!("\"{text}\" twice"), "each column once");
                continue;
            }
            rules.push(rule);
        }
        let key = key(reader);
        if key.is_none()
            && let Some(rule) = rules.iter().find(|rule| rule.how == How::Hash)
        {
            let found = format!("\"{rule}\" without ENCRYPTION_KEY");
            reader.error(
                VARIABLE,
                found,
                "=hash together with ENCRYPTION_KEY, from which the key of the hashes is made",
            );
            rules.retain(|rule| rule.how != How::Hash);
        }
        let payload_retention = reader.duration("TDS_PAYLOAD_RETENTION", retention);
        Self { rules, key, payload_retention }
    }

    /// Returns the catalogue by which the values of these columns are not kept.
    ///
    /// # Errors
    /// A name is not one that the catalogue has, or TDS needs the column. The error is about the first such column.
    pub fn of(&self, catalogue: &Catalogue) -> Result<Catalogue, ConfigError> {
        if self.rules.is_empty() {
            return Ok(catalogue.clone());
        }
        let refused = |error: tds_zoho::entities::NotHideable| ConfigError {
            variable: VARIABLE.to_owned(),
            found: error.found,
            accepted: error.accepted,
        };
        catalogue.hide(&self.rules, self.key.clone()).map_err(refused)
    }
}

/// Returns the key of the hashes. A wrong `ENCRYPTION_KEY` is reported where the access token needs it.
fn key(reader: &mut Reader<'_>) -> Option<HashKey> {
    let text = reader.secret("ENCRYPTION_KEY")?;
    HashKey::derived(&TokenKey::from_base64(text.expose_secret())?)
}
