//! Asks Zoho, now and then, how much of the day's quota is left: only it knows what other programs spend.

use std::time::Duration;

use tds_core::{error::Retry, shutdown::Shutdown};
use tds_zoho::ZohoClient;

/// How often to look whether it is time.
const LOOK: Duration = Duration::from_secs(300);
/// What Zoho said is good for this long; headers of ordinary answers count as well.
const FRESH: Duration = Duration::from_secs(3_600);
/// Where Zoho does not tell, it is asked again after so many looks: a day.
const REST: u32 = 288;

/// Asks until the signal. Several processes share what one of them heard.
pub(super) async fn run(zoho: ZohoClient, shutdown: Shutdown) {
    let mut rest = 0;
    while !shutdown.sleep(LOOK).await {
        // This process knows then how far calls are saved, also where it makes none.
        let Ok(standing) = zoho.status().await else { continue };
        if rest > 0 {
            rest -= 1;
            continue;
        }
        if standing.day.reported_age.is_some_and(|age| age < FRESH) {
            continue;
        }
        if let Err(error) = zoho.refresh_quota().await {
            tracing::debug!(error = %error.chain(), "Zoho does not tell how many calls are left today");
            if error.retry() == Retry::Permanent {
                rest = REST;
            }
        }
    }
}
