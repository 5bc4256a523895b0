//! Reports to the database that a server works on it and what the server knows of Zoho, so that commands need not ask
//! Zoho themselves.

use std::time::Duration;

use tds_core::shutdown::Shutdown;
use tds_postgres::{PgStore, ReportedState, ServerReport};
use tds_zoho::{ZohoClient, ZohoState};

use super::health::{HealthStatus, Probe, ZohoProbe};

/// The time between two reports.
const EVERY: Duration = Duration::from_secs(5);
/// The time limit for removing the report at the end. Removal is optional: an old report has the same meaning a little
/// later.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// Reports until the shutdown signal.
pub(crate) async fn run(store: PgStore, zoho: ZohoClient, name: String, works: bool, shutdown: Shutdown) {
    let probe = ZohoProbe(zoho.clone());
    loop {
        let health = probe.check().await;
        let asked = zoho.health().await.state != ZohoState::Unknown;
        let zoho_state = match health.state {
            HealthStatus::Healthy if asked => ReportedState::Healthy,
            HealthStatus::Healthy => ReportedState::Unknown,
            _ => ReportedState::Degraded,
        };
        let report = ServerReport {
            name: name.clone(),
            works,
            credentials: zoho.credentials_name().to_owned(),
            zoho_state,
            zoho_detail: match zoho.missing_inventory() {
                Some((line, _)) => format!("{}; {line}", health.detail),
                None => health.detail,
            },
        };
        if let Err(error) = store.report_server(&report).await {
            tracing::debug!(
                error = %error.chain(),
                "the presence of this server could not be stored; commands do not know of this server meanwhile"
            );
        }
        if shutdown.sleep(EVERY).await {
            break;
        }
    }
    // If the database does not answer, the row of this server becomes outdated by itself.
    drop(tokio::time::timeout(LAST_WORD_TIME, store.forget_server(&name)).await);
}
