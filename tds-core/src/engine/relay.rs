//! The relay: it turns captured local changes into items of the queue.

use std::{sync::Arc, time::Duration};

use crate::{outbound::Outbox, shutdown::Shutdown};

/// The maximum number of changes of one transaction.
const BATCH: usize = 500;
/// The longest wait for changes that the store announced to nobody. A server asks its store more often in another way.
const POLL: Duration = Duration::from_secs(30);
/// The wait after the store could not be reached.
const AGAIN: Duration = Duration::from_secs(2);

/// The relay of a process. Several processes may relay at the same time: each change is relayed once.
#[derive(Clone)]
pub struct Relay {
    pub(super) outbox: Arc<dyn Outbox>,
}

impl Relay {
    /// Relays changes until the shutdown signal.
    pub async fn run(&self, shutdown: Shutdown) {
        while !shutdown.is_set() {
            match self.outbox.relay(BATCH).await {
                Ok(BATCH..) => {}
                Ok(_) => tokio::select! {
                    biased;
                    () = shutdown.wait() => {}
                    () = self.outbox.wait(POLL) => {}
                },
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "local changes could not be enqueued; trying again");
                    shutdown.sleep(AGAIN).await;
                }
            }
        }
    }
}
