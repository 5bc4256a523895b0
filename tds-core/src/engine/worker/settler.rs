//! The settler: it settles many claims with one call. Settlements that arrive while one call is under way go into the
//! next call.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};

use super::WorkTally;
use crate::{
    error::Retry,
    queue::{LeaseToken, Queue, Settlement},
};

/// The number of settlements from which no more requests are added to one call.
const BATCH: usize = 1_000;

/// A handle of the settling task. The task ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Settler(mpsc::Sender<Request>);

struct Request {
    settlements: Vec<Settlement>,
    done: oneshot::Sender<()>,
}

impl Settler {
    /// Starts the task. A call that fails is repeated for as long as `patience`: after that time, the leases have run
    /// out anyway.
    pub(super) fn start(
        queue: Arc<dyn Queue>,
        tally: Arc<WorkTally>,
        patience: Duration,
    ) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self(sender), tokio::spawn(run(Sink { queue, tally, patience }, receiver)))
    }

    /// Returns when the settlements are durable, or when the settler has given them up.
    pub(super) async fn settle(&self, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let (done, wait) = oneshot::channel();
        if self.0.send(Request { settlements, done }).await.is_ok() {
            // An error means that the task died. The leases run out and the items can be claimed again.
            let _ = wait.await;
        }
    }
}

/// Where settlements go.
#[derive(Clone)]
struct Sink {
    queue: Arc<dyn Queue>,
    tally: Arc<WorkTally>,
    /// How long a call that fails is repeated.
    patience: Duration,
}

async fn run(sink: Sink, mut requests: mpsc::Receiver<Request>) {
    let mut locked = JoinSet::new();
    loop {
        let first = tokio::select! {
            biased;
            Some(_) = locked.join_next() => continue,
            Some(first) = requests.recv() => first,
            // No handle is left, and nothing is locked.
            else => break,
        };
        let mut gathered = vec![first];
        let mut count = gathered.iter().map(|request| request.settlements.len()).sum::<usize>();
        while count < BATCH {
            let Ok(next) = requests.try_recv() else { break };
            count += next.settlements.len();
            gathered.push(next);
        }
        let settlements = gathered.iter().flat_map(|request| request.settlements.iter().cloned()).collect();
        let waiting = settle(&sink, settlements).await;
        for request in gathered {
            let waits = |settlement: &Settlement| waiting.contains(&settlement.lease.token);
            let rest: Vec<Settlement> = request.settlements.into_iter().filter(waits).collect();
            if rest.is_empty() {
                // There is no waiter if the chunk was stopped in the meantime.
                let _ = request.done.send(());
            } else {
                locked.spawn(outwait(sink.clone(), rest, request.done));
            }
        }
    }
}

/// Settles claims whose rows another session has locked, beside all other settlements. The leases are renewed
/// meanwhile.
async fn outwait(sink: Sink, mut settlements: Vec<Settlement>, done: oneshot::Sender<()>) {
    tracing::warn!(
        items = settlements.len(),
        "another session of the database has locked items whose work is done; the items are settled when the lock is \
         released"
    );
    let mut pause = Duration::from_millis(250);
    while !settlements.is_empty() && !done.is_closed() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
        let waiting = settle(&sink, settlements.clone()).await;
        settlements.retain(|settlement| waiting.contains(&settlement.lease.token));
    }
    // There is no waiter if the chunk was stopped in the meantime.
    let _ = done.send(());
}

/// Settles claims, and returns those whose rows another session has locked.
async fn settle(sink: &Sink, settlements: Vec<Settlement>) -> HashSet<LeaseToken> {
    let deadline = tokio::time::Instant::now() + sink.patience;
    let mut pause = Duration::from_millis(100);
    loop {
        match sink.queue.settle(settlements.clone()).await {
            Ok(settled) => {
                sink.tally.refused(settled.fenced);
                if settled.fenced > 0 {
                    tracing::warn!(count = settled.fenced, "claims were lost before they were settled");
                }
                return settled.locked.into_iter().collect();
            }
            Err(error) if error.retry() == Retry::Permanent && settlements.len() > 1 => {
                tracing::warn!(
                    error = %error.chain(),
                    "the results cannot be stored together; each one is stored by itself"
                );
                let mut locked = HashSet::new();
                for one in settlements {
                    locked.extend(Box::pin(settle(sink, vec![one])).await);
                }
                return locked;
            }
            Err(error) if error.retry() == Retry::Permanent || tokio::time::Instant::now() >= deadline => {
                tracing::error!(
                    error = %error.chain(), items = settlements.len(),
                    "the results could not be stored; the items will be processed again"
                );
                return HashSet::new();
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "the results could not be stored; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    };

    use async_trait::async_trait;

    use super::*;
    use crate::{
        error::Result,
        lock::lock,
        queue::{ClaimRequest, Claimed, ItemId, Lease, NewItem, Outcome, Settle, Settled},
    };

    /// A queue in which another session has locked the claim with token 1.
    #[derive(Default)]
    struct Locking {
        free: AtomicBool,
        settled: Mutex<Vec<i64>>,
    }

    #[async_trait]
    impl Queue for Locking {
        async fn enqueue(&self, _: Vec<NewItem>) -> Result<()> {
            Ok(())
        }

        async fn claim(&self, _: &ClaimRequest) -> Result<Vec<Claimed>> {
            Ok(Vec::new())
        }

        async fn renew(&self, leases: &[Lease], _: Duration) -> Result<Vec<Lease>> {
            Ok(leases.to_vec())
        }

        async fn held(&self, leases: &[Lease]) -> Result<Vec<Lease>> {
            Ok(leases.to_vec())
        }

        async fn mark_processing(&self, _: &[Lease]) -> Result<()> {
            Ok(())
        }

        async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
            let mut result = Settled::default();
            let mut settled = lock(&self.settled);
            for settlement in settlements {
                let token = settlement.lease.token;
                if token.0 == 1 && !self.free.load(Ordering::SeqCst) {
                    result.locked.push(token);
                } else {
                    result.accepted += 1;
                    settled.push(token.0);
                }
            }
            Ok(result)
        }

        async fn wait(&self, _: Duration) {}
    }

    fn settlement(token: i64) -> Settlement {
        let lease = Lease { id: ItemId(token), token: LeaseToken(token) };
        Settlement { lease, generation: 1, settle: Settle::Complete(Outcome::Applied) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_locked_item_is_settled_later_and_delays_no_other() {
        let queue = Arc::new(Locking::default());
        let (settler, task) =
            Settler::start(Arc::clone(&queue) as Arc<dyn Queue>, Arc::default(), Duration::from_secs(60));
        let waits = tokio::spawn({
            let settler = settler.clone();
            async move { settler.settle(vec![settlement(1), settlement(2)]).await }
        });
        tokio::task::yield_now().await;
        settler.settle(vec![settlement(3)]).await;
        assert!(!waits.is_finished(), "the claim is still held");
        tokio::time::sleep(Duration::from_secs(600)).await;
        queue.free.store(true, Ordering::SeqCst);
        waits.await.expect("settled at last");
        drop(settler);
        task.await.expect("ended");
        let mut settled = lock(&queue.settled).clone();
        settled.sort_unstable();
        assert_eq!(settled, [1, 2, 3], "each once");
    }
}
