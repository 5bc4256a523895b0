//! Tells the database that a server works on it and how it finds Zoho, so that commands need not find out themselves.

use std::time::Duration;

use tds_core::shutdown::Shutdown;
use tds_postgres::{PgStore, ServerReport};
use tds_zoho::{ZohoClient, ZohoState};

use crate::app::health::{HealthStatus, Probe, ZohoProbe};

/// How often it is told.
const EVERY: Duration = Duration::from_secs(5);
/// The last word is a courtesy: silence says the same a little later.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// Tells until the signal.
pub(super) async fn run(store: PgStore, zoho: ZohoClient, name: String, works: bool, shutdown: Shutdown) {
    let probe = ZohoProbe::new(zoho.clone());
    loop {
        let health = probe.check().await;
        let asked = zoho.health().await.state != ZohoState::Unknown;
        let zoho_state = match health.state {
            HealthStatus::Healthy if asked => "healthy",
            HealthStatus::Healthy => "unknown",
            _ => "degraded",
        };
        let report = ServerReport {
            name: name.clone(),
            works,
            credentials: zoho.credentials_name().to_owned(),
            zoho_state: zoho_state.to_owned(),
            zoho_detail: match zoho.missing_inventory() {
                Some((line, _)) => format!("{}; {line}", health.detail),
                None => health.detail,
            },
        };
        if let Err(error) = store.tell_server(&report).await {
            tracing::debug!(error = %error.chain(), "commands do not hear of this server just now");
        }
        if shutdown.sleep(EVERY).await {
            break;
        }
    }
    // Where the database does not answer, the row grows old by itself.
    drop(tokio::time::timeout(LAST_WORD_TIME, store.forget_server(&name)).await);
}
