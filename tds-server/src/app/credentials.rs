//! Checks whether Zoho accepts the credentials.

use std::time::Duration;

use tds_core::error::Result;
use tds_postgres::{OrganizationFacts, PgStore};
use tds_zoho::{CredentialsReport, Organization, ZohoClient};

use crate::hint::command;

/// The time after which a server asks again if Zoho did not accept the credentials.
const AGAIN: Duration = Duration::from_secs(900);

/// Asks Zoho for an operator.
pub(crate) async fn test(zoho: &ZohoClient) -> Result<CredentialsReport> {
    let report = zoho.check_credentials().await;
    report.inspect_err(
        |error| tracing::warn!(error = %error.explain(command), "a check of the credentials failed"),
    )
}

/// Asks Zoho at the start of a server, so that wrong credentials show in the health report from the start, not only
/// when the first sync is due. The answer also tells the time zone of the organization, so the server asks again until
/// Zoho answers.
pub(crate) async fn test_at_start(zoho: ZohoClient, store: PgStore) {
    loop {
        match zoho.check_credentials().await {
            Ok(report) => {
                tracing::info!("Zoho accepts the credentials");
                return remember(&store, report.organization).await;
            }
            Err(error) => tracing::warn!(
                error = %error.explain(command),
                "Zoho does not accept the credentials or cannot be reached; webhooks are stored meanwhile"
            ),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Stores the time zone and the currency of the organization, which the views of the mirror follow.
async fn remember(store: &PgStore, organization: Organization) {
    let Organization { id, name, currency, time_zone } = organization;
    let facts = OrganizationFacts { id, name, currency, time_zone };
    match store.remember_organization(&facts).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            time_zone = facts.time_zone,
            "the database does not know the time zone of the organization; the views follow UTC"
        ),
        Err(error) => tracing::warn!(
            error = %error.chain(),
            "the time zone of the organization could not be stored; the views follow the one before, or UTC"
        ),
    }
}
