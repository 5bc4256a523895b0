//! The health of the webhook endpoints: whether webhooks are accepted.

use async_trait::async_trait;

use super::{ComponentHealth, Probe};
use crate::config::Verification;

/// Checks whether this process can verify webhooks.
pub(crate) struct WebhooksProbe(pub(crate) Verification);

#[async_trait]
impl Probe for WebhooksProbe {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        Some(match self.0 {
            Verification::Impossible => ComponentHealth::degraded(
                "every webhook is refused with 503, because no secret is set: set ZOHO_WEBHOOK_SECRET to 12 to 50 \
                 letters and digits, set the same secret in the webhooks of Zoho, and restart the server",
            ),
            Verification::Unsigned => ComponentHealth::healthy(
                "webhooks without a signature are accepted (TDS_ALLOW_UNSIGNED_WEBHOOKS)",
            ),
            Verification::Quoted | Verification::Unacceptable | Verification::Signed(_) => {
                ComponentHealth::healthy("signatures are checked")
            }
        })
    }
}
