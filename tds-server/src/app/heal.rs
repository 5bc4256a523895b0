//! Looks for events, runs and waiters that lost their items, at the start and every two minutes. There should be none.

use std::time::Duration;

use tds_core::shutdown::Shutdown;

use super::{events::Events, refusal::Refusal};

/// The time between two searches.
const EVERY: Duration = Duration::from_secs(120);
/// Events, runs and waiters that are younger than this are not touched.
const AGE: Duration = Duration::from_secs(5);
/// Most searches look only at events received within this period. The first search, and then one a day, looks at all
/// events.
const LATELY: Duration = Duration::from_secs(2 * 86_400);
const ALL_EVERY: u32 = 720;

/// Searches until `shutdown` is signalled, and calls `mended` with the number of repairs of each kind. `organization`
/// is the one whose webhooks are handled. Several processes may search at the same time: each thing is repaired once.
pub(crate) async fn run(
    events: &Events,
    organization: &str,
    mended: impl Fn(&'static str, u64) + Send + Sync,
    shutdown: Shutdown,
) {
    for round in 0u32.. {
        heal(events, organization, round, &mended).await;
        if shutdown.sleep(EVERY).await {
            return;
        }
    }
}

async fn heal(
    events: &Events,
    organization: &str,
    round: u32,
    mended: &(impl Fn(&'static str, u64) + Send + Sync),
) {
    let within = (!round.is_multiple_of(ALL_EVERY)).then_some(LATELY);
    let healed = match events.ports.maintenance.heal(AGE, within).await {
        Ok(healed) => healed,
        Err(error) => {
            tracing::warn!(
                error = %error.chain(),
                "the search for events and runs without items failed; trying again"
            );
            return;
        }
    };
    let mut replayed = 0;
    for event in &healed.events {
        match events.replay(organization, event.0).await {
            // `Unknown`: the event was pruned in the meantime.
            Ok(_) | Err(Refusal::Unknown(..)) => {
                tracing::warn!(
                    event = %event,
                    "an event waited for an item that does not exist; it is processed again"
                );
                replayed += 1;
            }
            Err(error) => tracing::warn!(
                event = %event, error = ?error,
                "an event waits for an item that does not exist, and could not be processed again; trying again"
            ),
        }
    }
    for (kind, count) in [("waiter", healed.waiters), ("run", healed.runs), ("event", replayed)] {
        if count > 0 {
            tracing::warn!(
                kind,
                count,
                "an event, a run or a waiter had lost its item and was repaired; please report this with the log"
            );
        }
        mended(kind, count);
    }
}
