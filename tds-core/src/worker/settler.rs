//! Ends claims, many at once: what arrives while one settling is under way goes into the next.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{Queue, Retry, Settlement};

/// How many settlements one call takes at most.
const BATCH: usize = 1_000;

/// A handle of the settling task; the task ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Settler(mpsc::Sender<Request>);

struct Request {
    settlements: Vec<Settlement>,
    done: oneshot::Sender<()>,
}

impl Settler {
    /// Starts the task. A settling that fails is repeated until `patience` is over: the leases end then anyway.
    pub(super) fn start(queue: Arc<dyn Queue>, patience: Duration) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self(sender), tokio::spawn(run(queue, receiver, patience)))
    }

    /// Returns when the settlements are durable, or given up.
    pub(super) async fn settle(&self, settlements: Vec<Settlement>) {
        if settlements.is_empty() {
            return;
        }
        let (done, wait) = oneshot::channel();
        if self.0.send(Request { settlements, done }).await.is_ok() {
            // An error means that the task died: the leases end and the items come again.
            let _ = wait.await;
        }
    }
}

async fn run(queue: Arc<dyn Queue>, mut requests: mpsc::Receiver<Request>, patience: Duration) {
    while let Some(first) = requests.recv().await {
        let mut waiting = vec![first.done];
        let mut settlements = first.settlements;
        while settlements.len() < BATCH {
            let Ok(next) = requests.try_recv() else { break };
            waiting.push(next.done);
            settlements.extend(next.settlements);
        }
        settle(queue.as_ref(), settlements, patience).await;
        for done in waiting {
            // Nobody waits where the chunk was stopped meanwhile.
            let _ = done.send(());
        }
    }
}

async fn settle(queue: &dyn Queue, settlements: Vec<Settlement>, patience: Duration) {
    let deadline = tokio::time::Instant::now() + patience;
    let mut pause = Duration::from_millis(100);
    loop {
        match queue.settle(settlements.clone()).await {
            Ok(settled) => {
                if settled.fenced > 0 {
                    tracing::warn!(count = settled.fenced, "claims were lost before they were settled");
                }
                return;
            }
            Err(error) if error.retry() == Retry::Permanent && settlements.len() > 1 => {
                tracing::warn!(error = %error.chain(), "settling one by one");
                for one in settlements {
                    Box::pin(settle(queue, vec![one], patience)).await;
                }
                return;
            }
            Err(error) if error.retry() == Retry::Permanent || tokio::time::Instant::now() >= deadline => {
                tracing::error!(error = %error.chain(), items = settlements.len(), "could not settle; the items come again");
                return;
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "could not settle; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}
