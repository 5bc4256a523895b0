//! Asks Zoho from time to time how many calls of the day are left. Only Zoho knows how many calls other programs make.

use std::time::Duration;

use tds_core::{error::Retry, shutdown::Shutdown};
use tds_zoho::ZohoClient;

/// The time between two checks of the age of Zoho's count.
const LOOK: Duration = Duration::from_secs(300);
/// The time for which a count that Zoho reported is fresh. Headers of ordinary answers report it as well.
const FRESH: Duration = Duration::from_secs(3_600);
/// The number of looks to skip after Zoho permanently refused to report a count: 288 looks are one day.
const REST: u32 = 288;

/// Asks until the shutdown signal. Several processes share the count that one of them received.
pub(crate) async fn run(zoho: ZohoClient, shutdown: Shutdown) {
    let mut rest = 0;
    while !shutdown.sleep(LOOK).await {
        // Reading the status also updates the throttle of this process, even if the process makes no calls.
        let Ok(status) = zoho.status().await else { continue };
        if rest > 0 {
            rest -= 1;
            continue;
        }
        if status.day.reported_age.is_some_and(|age| age < FRESH) {
            continue;
        }
        if let Err(error) = zoho.refresh_quota().await {
            tracing::debug!(error = %error.chain(), "Zoho does not say how many calls are left today");
            if error.retry() == Retry::Permanent {
                rest = REST;
            }
        }
    }
}
