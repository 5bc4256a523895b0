//! Blanks the bodies of ended events, and deletes finished rows, that are older than their retention.

use std::time::Duration;

use tds_core::{error::Result, shutdown::Shutdown};

use super::items::Items;

/// The time between two rounds. Several processes may prune at the same time: each row is deleted once.
const EVERY: Duration = Duration::from_secs(3_600);

/// Prunes until the shutdown signal. `ages`: the age at which bodies are blanked, and the age at which rows are deleted.
pub(crate) async fn run(items: Items, [payloads, rows]: [Duration; 2], shutdown: Shutdown) {
    while !shutdown.sleep(EVERY).await {
        match prune(&items, payloads, rows).await {
            Ok((0, 0)) => {}
            Ok((deleted, blanked)) => tracing::info!(deleted, blanked, "old finished rows were deleted"),
            Err(error) => {
                tracing::warn!(error = %error.chain(), "pruning failed; the next attempt is in an hour")
            }
        }
    }
}

/// Returns the number of deleted rows and of blanked bodies. Rows that go need not be blanked first.
async fn prune(items: &Items, payloads: Duration, rows: Duration) -> Result<(u64, u64)> {
    Ok((items.prune(rows, false).await?, items.blank(payloads).await?))
}
