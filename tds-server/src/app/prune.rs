//! Deletes finished rows that are older than the retention.

use std::time::Duration;

use tds_core::shutdown::Shutdown;

use super::items::Items;

/// The time between two rounds. Several processes may prune at the same time: each row is deleted once.
const EVERY: Duration = Duration::from_secs(3_600);

/// Prunes until the shutdown signal.
pub(crate) async fn run(items: Items, retention: Duration, shutdown: Shutdown) {
    while !shutdown.sleep(EVERY).await {
        match items.prune(retention, false).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "old finished rows were deleted"),
            Err(error) => {
                tracing::warn!(error = %error.chain(), "pruning failed; the next attempt is in an hour")
            }
        }
    }
}
