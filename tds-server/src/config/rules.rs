//! The webhooks and rules that are registered in Zoho.

use std::time::Duration;

use tds_zoho::{entities::Catalogue, rules::RuleModules};

use super::{ConfigError, lookup::Reader};
use crate::nearest::meant;

const MODULES: &str = "TDS_WEBHOOK_MODULES";

/// How webhooks and rules are registered in Zoho.
#[derive(Clone, Debug)]
pub struct RulesConfig {
    /// `TDS_WEBHOOK_MODULES`: the modules of Zoho that rules watch, where they differ from what is assumed.
    pub modules: RuleModules,
    /// `TDS_KNOWN_WEBHOOK_URLS`: beginnings of URLs that webhooks of others may have.
    pub known_urls: Vec<String>,
    /// `TDS_SETTINGS_PACE`, default `600ms`: the pause between two calls to Zoho's settings.
    pub pace: Duration,
}

impl RulesConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let accepted = "path=module, comma separated, each path once, such as \
                        credit-notes=credit_note,customers=customer+vendor";
        Self {
            modules: reader.parse(MODULES, RuleModules::default(), accepted, |text| text.parse().ok()),
            known_urls: reader.list("TDS_KNOWN_WEBHOOK_URLS"),
            pace: reader.duration("TDS_SETTINGS_PACE", Duration::from_millis(600)),
        }
    }

    /// Checks that webhooks can arrive at every path that is named.
    ///
    /// # Errors
    /// The catalogue has no such path.
    pub fn check(&self, catalogue: &Catalogue) -> Result<(), ConfigError> {
        let paths =
            || catalogue.iter().filter_map(|known| known.webhooks.as_ref()).map(|webhooks| webhooks.path);
        let Some(unknown) = self.modules.paths().find(|path| !paths().any(|known| known == *path)) else {
            return Ok(());
        };
        let mut known: Vec<&str> = paths().collect();
        known.sort_unstable();
        known.dedup();
        Err(ConfigError {
            variable: MODULES.to_owned(),
            found: unknown.to_owned(),
            accepted: format!("paths of webhooks: {}{}", known.join(", "), meant(unknown, paths())),
        })
    }
}
