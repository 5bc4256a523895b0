//! The health of the webhook endpoints: whether webhooks are accepted.

use async_trait::async_trait;

use crate::{
    app::health::{ComponentHealth, Probe},
    config::WebhookConfig,
};

/// Checks whether this process can verify webhooks.
pub struct WebhooksProbe {
    secrets: usize,
    allow_unsigned: bool,
}

impl WebhooksProbe {
    /// Creates a probe for this webhook configuration.
    #[must_use]
    pub fn new(config: &WebhookConfig) -> Self {
        Self { secrets: config.secrets.len(), allow_unsigned: config.allow_unsigned }
    }
}

#[async_trait]
impl Probe for WebhooksProbe {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    async fn check(&self) -> ComponentHealth {
        match (self.secrets, self.allow_unsigned) {
            (0, false) => ComponentHealth::degraded(
                "every webhook is refused with 503, because no secret is set: set ZOHO_WEBHOOK_SECRET to 12 to 50 \
                 letters and digits, set the same secret in the webhooks of Zoho, and restart the server",
            ),
            (0, true) => ComponentHealth::healthy(
                "webhooks without a signature are accepted (TDS_ALLOW_UNSIGNED_WEBHOOKS)",
            ),
            _ => ComponentHealth::healthy("signatures are checked"),
        }
    }
}
