//! The webhooks and rules that are registered in Zoho.

use std::time::Duration;

use tds_zoho::rules::RuleModules;

use super::lookup::Reader;

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
        let accepted =
            "path=module, comma separated, such as credit-notes=credit_note,customers=customer+vendor";
        Self {
            modules: reader
                .parse("TDS_WEBHOOK_MODULES", RuleModules::default(), accepted, |text| text.parse().ok()),
            known_urls: reader.list("TDS_KNOWN_WEBHOOK_URLS"),
            pace: reader.duration("TDS_SETTINGS_PACE", Duration::from_millis(600)),
        }
    }
}
