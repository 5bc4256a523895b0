//! How webhooks are authenticated.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Environment,
    lookup::{Reader, split_list},
};

/// The secrets of the webhook endpoints.
#[derive(Clone, Debug, Default)]
pub struct WebhookConfig {
    /// `ZOHO_WEBHOOK_SECRET` (or `…_FILE`): HMAC keys, comma separated while one is being replaced.
    pub secrets: Vec<SecretString>,
    /// `TDS_WEBHOOK_KEY` (or `…_FILE`): the values of which the header `X-Webhook-Key` must carry one as well, comma
    /// separated while one is being replaced.
    pub keys: Vec<SecretString>,
    /// `TDS_ALLOW_UNSIGNED_WEBHOOKS`, default `false`, only in development: without a secret, bodies are accepted
    /// unsigned.
    pub allow_unsigned: bool,
}

/// Whether the webhooks of Zoho can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// No secret is set, so every webhook is refused.
    Impossible,
    /// No secret is set, and webhooks are accepted unsigned.
    Unsigned,
    /// A secret has quotation marks around it.
    Quoted,
    /// A secret is not one that Zoho accepts: 12 to 50 letters and digits.
    Unacceptable,
    /// This number of secrets is set, and Zoho accepts each of them.
    Signed(usize),
}

impl WebhookConfig {
    /// Returns whether the webhooks of Zoho can be verified.
    #[must_use]
    pub fn verification(&self) -> Verification {
        let any = |holds: fn(&str) -> bool| self.secrets.iter().any(|secret| holds(secret.expose_secret()));
        if self.secrets.is_empty() {
            if self.allow_unsigned { Verification::Unsigned } else { Verification::Impossible }
        } else if any(|secret| secret.starts_with(['"', '\'']) || secret.ends_with(['"', '\''])) {
            Verification::Quoted
        } else if any(|secret| {
            !(12..=50).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) {
            Verification::Unacceptable
        } else {
            Verification::Signed(self.secrets.len())
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, environment: Environment, serving: bool) -> Self {
        let mut list = |variable| -> Vec<SecretString> {
            let text = reader.secret_text(variable).unwrap_or_default();
            split_list(&text).into_iter().map(SecretString::from).collect()
        };
        let (secrets, keys) = (list("ZOHO_WEBHOOK_SECRET"), list("TDS_WEBHOOK_KEY"));
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
        Self { secrets, keys, allow_unsigned }
    }
}
