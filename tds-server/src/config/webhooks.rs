//! How webhooks prove authentic.

use secrecy::SecretString;

use super::{
    Environment,
    lookup::{Reader, split_list},
};

/// The secrets of the webhook endpoints.
#[derive(Clone, Debug, Default)]
pub struct WebhookConfig {
    /// `ZOHO_WEBHOOK_SECRET` (or `…_FILE`): HMAC keys, comma separated while one is being replaced.
    pub secrets: Vec<SecretString>,
    /// `TDS_WEBHOOK_KEY` (or `…_FILE`): the value that the header `X-Webhook-Key` must carry as well.
    pub key: Option<SecretString>,
    /// `TDS_ALLOW_UNSIGNED_WEBHOOKS`, default `false`, only in development: without a secret, bodies are accepted
    /// unsigned.
    pub allow_unsigned: bool,
}

impl WebhookConfig {
    pub(super) fn read(reader: &mut Reader<'_>, environment: Environment, serving: bool) -> Self {
        let secrets = reader.secret_text("ZOHO_WEBHOOK_SECRET").unwrap_or_default();
        let secrets: Vec<SecretString> = split_list(&secrets).into_iter().map(SecretString::from).collect();
        let allow_unsigned =
            reader.parse("TDS_ALLOW_UNSIGNED_WEBHOOKS", false, "true or false", |text| text.parse().ok());
        let production = environment == Environment::Production;
        if serving && production && secrets.is_empty() {
            reader.error(
                "ZOHO_WEBHOOK_SECRET",
                "nothing",
                "one or more secrets, because APP_ENV is production",
            );
        }
        if serving && production && allow_unsigned {
            reader.error("TDS_ALLOW_UNSIGNED_WEBHOOKS", "true", "false, because APP_ENV is production");
        }
        Self { secrets, key: reader.secret("TDS_WEBHOOK_KEY"), allow_unsigned }
    }
}
