//! Looks for events, runs and waiters that lost their items: at the start, and every few minutes. There should be none.
//! Every few seconds the rest of what cancelled runs had queued is taken out.

use std::time::Duration;

use tds_core::{inbox::InboxId, queue::Healed, shutdown::Shutdown};

use crate::http::{routes::webhooks::understand_again, state::AppState};

/// Between two looks at cancelled runs.
const TICK: Duration = Duration::from_secs(5);
/// Ticks between two looks for what lost its items: two minutes.
const TICKS: u32 = 24;
/// Nothing younger is touched.
const AGE: Duration = Duration::from_secs(5);
/// Most looks are at the events received within this; the first one, and one a day, at all of them.
const LATELY: Duration = Duration::from_secs(2 * 86_400);
const ALL_EVERY: u32 = 720;

/// Looks until the signal. Several processes may look at once: each thing is mended once.
pub(crate) async fn run(state: AppState, shutdown: Shutdown) {
    for tick in 0u32.. {
        if tick.is_multiple_of(TICKS) {
            heal(&state, tick / TICKS).await;
        }
        if let Err(error) = state.services.runs.finish_cancelling().await {
            tracing::debug!(error = %error.chain(), "what cancelled runs had queued could not be taken out; it is tried again");
        }
        if shutdown.sleep(TICK).await {
            return;
        }
    }
}

async fn heal(state: &AppState, round: u32) {
    let within = (!round.is_multiple_of(ALL_EVERY)).then_some(LATELY);
    match state.services.queue.heal(AGE, within).await {
        Ok(healed) => tell(state, &healed).await,
        Err(error) => {
            tracing::warn!(error = %error.chain(), "what waits for nothing could not be looked for; it is tried again")
        }
    }
}

async fn tell(state: &AppState, healed: &Healed) {
    let mut replayed = 0;
    for event in &healed.events {
        match replay(state, *event).await {
            Ok(()) => {
                tracing::warn!(event = %event, "an event waited for nothing; it is processed once more");
                replayed += 1;
            }
            Err(error) => tracing::warn!(
                event = %event, error = %error.chain(),
                "an event waits for nothing and could not be processed once more; it is tried again"
            ),
        }
    }
    for (kind, count) in [("waiter", healed.waiters), ("run", healed.runs), ("event", replayed)] {
        if count > 0 {
            tracing::warn!(
                kind,
                count,
                "what had lost its items was mended; please report this with the log"
            );
        }
        state.metrics.healed(kind, count);
    }
}

async fn replay(state: &AppState, id: InboxId) -> tds_core::error::Result<()> {
    let Some(event) = state.services.events.get_event(id).await? else { return Ok(()) };
    let disposition =
        understand_again(&state.services.catalogue, state.services.zoho.organization_id(), &event);
    state.services.events.replay(id, disposition).await
}
