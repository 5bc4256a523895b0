//! Checks whether Zoho accepts the credentials.

use tds_core::error::Result;
use tds_zoho::{CredentialsReport, ZohoClient};

use crate::hint::command;

/// Asks Zoho for an operator.
pub(crate) async fn test(zoho: &ZohoClient) -> Result<CredentialsReport> {
    let report = zoho.check_credentials().await;
    report.inspect_err(
        |error| tracing::warn!(error = %error.explain(command), "a check of the credentials failed"),
    )
}

/// Asks Zoho at the start of a server, so that wrong credentials show in the health report from the start, not only
/// when the first sync is due.
pub(crate) async fn test_at_start(zoho: ZohoClient) {
    match zoho.check_credentials().await {
        Ok(_) => tracing::info!("Zoho accepts the credentials"),
        Err(error) => tracing::warn!(
            error = %error.explain(command),
            "Zoho does not accept the credentials or cannot be reached; webhooks are stored meanwhile"
        ),
    }
}
