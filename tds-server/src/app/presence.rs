//! Reports to the database that a server works on it and what the server knows of Zoho, so that commands need not ask
//! Zoho themselves. The answer says whether a cancelled run has items in the queue, which are then removed.

use std::time::Duration;

use tds_core::{limits::budget::BudgetStatus, runs::SyncRunOperator as _, shutdown::Shutdown};
use tds_postgres::{PgStore, ReportedState, ServerReport};
use tds_zoho::{ZohoClient, ZohoState};
use tokio::time::Instant;

use super::health::{HealthStatus, ZohoProbe};

/// The time between two reports. A report also finds free runs and local changes of which this process did not hear.
pub(crate) const REPORT_EVERY: Duration = Duration::from_secs(10);
/// The number of reports for which one read of the shared limits serves while they are in order. What this process
/// itself observes of Zoho does not need the read.
const READ_FOR: u32 = 3;
/// The time before a report that could not be stored is repeated.
const AGAIN: Duration = Duration::from_secs(2);
/// The time between two looks at what this process observed of Zoho. A look asks nobody, and a change is reported at
/// once.
const LOOK: Duration = Duration::from_secs(1);
/// The time limit for removing the report at the end. Removal is optional: an old report has the same meaning a little
/// later.
const LAST_WORD_TIME: Duration = Duration::from_secs(1);

/// Reports until the shutdown signal.
pub(crate) async fn run(store: PgStore, zoho: ZohoClient, name: String, works: bool, shutdown: Shutdown) {
    let reporter = Reporter { name, works, zoho };
    for round in 0u32.. {
        let known = reporter.zoho.last_status();
        let is_usual = reporter.observed(&known).0 == ReportedState::Healthy;
        let status = if is_usual && !round.is_multiple_of(READ_FOR) {
            known
        } else {
            reporter.zoho.status().await.unwrap_or_default()
        };
        let observed = reporter.observed(&status);
        let stored = store.report_server(&reporter.report(&status, &observed)).await;
        let pause = if stored.is_ok() { REPORT_EVERY } else { AGAIN };
        let finish = async {
            match stored {
                Ok(false) => {}
                Ok(true) => finish_cancelling(&store).await,
                Err(error) => tracing::debug!(
                    error = %error.chain(),
                    "the presence of this server could not be stored; commands do not know of this server meanwhile"
                ),
            }
            std::future::pending::<bool>().await
        };
        let stops = tokio::select! {
            stops = reporter.wait(&observed, pause, &shutdown) => stops,
            // The next report does not wait for a slow removal. The removal is then tried again.
            stops = finish => stops,
        };
        if stops {
            break;
        }
    }
    // If the database does not answer, the row of this server becomes outdated by itself.
    drop(tokio::time::timeout(LAST_WORD_TIME, store.forget_server(&reporter.name)).await);
}

/// Removes the remaining items of cancelled runs from the queue.
async fn finish_cancelling(store: &PgStore) {
    if let Err(error) = store.finish_cancelling().await {
        tracing::debug!(
            error = %error.chain(),
            "items of cancelled runs could not be removed from the queue; trying again"
        );
    }
}

/// Writes the reports of this server.
struct Reporter {
    name: String,
    works: bool,
    zoho: ZohoClient,
}

/// What a server knows of Zoho: the state, and one line about a missing Inventory.
type Observed = (ReportedState, Option<String>);

impl Reporter {
    fn report(&self, status: &BudgetStatus, (zoho_state, missing): &Observed) -> ServerReport {
        let detail = ZohoProbe(self.zoho.clone()).health(status).detail;
        ServerReport {
            name: self.name.clone(),
            works: self.works,
            credentials: self.zoho.credentials_name().to_owned(),
            zoho_state: *zoho_state,
            zoho_detail: match missing {
                Some(line) => format!("{detail}; {line}"),
                None => detail,
            },
        }
    }

    /// Returns what this process knows of Zoho at this status of the limits.
    fn observed(&self, status: &BudgetStatus) -> Observed {
        let state = match ZohoProbe(self.zoho.clone()).health(status).state {
            HealthStatus::Healthy if self.zoho.health_with(status).state == ZohoState::Unknown => {
                ReportedState::Unknown
            }
            HealthStatus::Healthy => ReportedState::Healthy,
            _ => ReportedState::Degraded,
        };
        (state, self.zoho.missing_inventory().map(|(line, _)| line))
    }

    /// Waits until the next report is due: after the pause, or as soon as this process has observed something else of
    /// Zoho. Returns true if the shutdown signal was raised.
    async fn wait(&self, observed: &Observed, pause: Duration, shutdown: &Shutdown) -> bool {
        let due = Instant::now() + pause;
        while Instant::now() < due && self.observed(&self.zoho.last_status()) == *observed {
            if shutdown.sleep(LOOK).await {
                return true;
            }
        }
        false
    }
}
