//! Deletes finished rows that are older than the retention.

use std::{sync::Arc, time::Duration};

use tds_core::{queue::QueueMaintenance, shutdown::Shutdown};

/// The time between two rounds. Several processes may prune at the same time: each row is deleted once.
const EVERY: Duration = Duration::from_secs(3_600);

/// Prunes until the shutdown signal.
pub(super) async fn run(queue: Arc<dyn QueueMaintenance>, retention: Duration, shutdown: Shutdown) {
    while !shutdown.sleep(EVERY).await {
        match queue.prune(retention, false).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "old finished rows were deleted"),
            Err(error) => {
                tracing::warn!(error = %error.chain(), "pruning failed; the next attempt is in an hour")
            }
        }
    }
}
