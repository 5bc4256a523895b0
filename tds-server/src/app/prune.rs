//! Blanks the bodies of ended events, and deletes finished rows, that are older than their retention.

use std::time::Duration;

use tds_core::{error::Result, shutdown::Shutdown};

use super::items::Items;

/// The time between two rounds that delete rows. Several processes may prune at the same time: each row is deleted once.
const EVERY: Duration = Duration::from_secs(3_600);
/// The shortest time between two rounds that blank bodies.
const SHORTEST: Duration = Duration::from_secs(60);

/// Prunes until the shutdown signal. `ages`: the age at which bodies are blanked, and the age at which rows are deleted.
pub(crate) async fn run(items: Items, [payloads, rows]: [Duration; 2], shutdown: Shutdown) {
    let pause = pause(payloads);
    let mut passed = Duration::ZERO;
    while !shutdown.sleep(pause).await {
        passed += pause;
        let rows = (passed >= EVERY).then_some(rows);
        match prune(&items, payloads, rows).await {
            Ok((0, 0)) => {}
            Ok((deleted, blanked)) => tracing::info!(deleted, blanked, "old finished rows were deleted"),
            Err(error) => {
                tracing::warn!(error = %error.chain(), "pruning failed; the next round tries again");
                continue;
            }
        }
        if rows.is_some() {
            passed = Duration::ZERO;
        }
    }
}

/// Returns the time between two rounds that blank bodies of this age: a tenth of it, so that no body stays much longer.
fn pause(payloads: Duration) -> Duration {
    (payloads / 10).clamp(SHORTEST, EVERY)
}

/// Blanks bodies, and deletes rows if their age is given. Returns the number of deleted rows and of blanked bodies. Rows that
/// go need not be blanked first.
async fn prune(items: &Items, payloads: Duration, rows: Option<Duration>) -> Result<(u64, u64)> {
    let deleted = match rows {
        Some(rows) => items.prune(rows, false).await?,
        None => 0,
    };
    Ok((deleted, items.blank(payloads).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_blanked_at_least_every_hour_and_at_most_every_minute() {
        let minutes = |minutes: u64| pause(Duration::from_secs(60 * minutes)).as_secs() / 60;
        assert_eq!([1, 10, 30, 300, 43_200].map(minutes), [1, 1, 3, 30, 60]);
    }
}
