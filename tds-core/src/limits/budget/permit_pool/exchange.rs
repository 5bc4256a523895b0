//! Requests permits from the shared budget, and reports to it what happened to its permits.

use std::time::Duration;

use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};

use super::PermitPool;
use crate::{
    error::{Error, Result},
    limits::budget::{Passage, Place},
};

/// The time for which the pool waits for an answer. A later answer is of no use.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time for which reports that are not urgent are collected before they are sent.
const REPORT_AFTER: Duration = Duration::from_secs(1);

impl PermitPool {
    /// Sends one request to the budget. Returns whether a call to `pass` may be made.
    pub(super) async fn ask(&self, pass: Option<Place>) -> Result<Passage> {
        let inner = &*self.inner;
        let asked = Instant::now();
        let (ask, counts) = {
            let mut queue = self.lock();
            let mut ask = queue.question(inner.holder.clone(), asked);
            ask.pass = pass;
            (ask, std::mem::take(&mut queue.pending_reports.counts))
        };
        let answer = timeout(PATIENCE, inner.budget.exchange(&inner.account, &inner.limits, &ask)).await;
        let answer =
            answer.unwrap_or_else(|_| Err(Error::unavailable("the budget of calls did not answer in time")));
        let passage = match answer {
            Ok(grant) => {
                self.lock().answered(&ask, &grant, asked, Instant::now());
                Ok(grant.passage)
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "the budget of calls cannot be reached, so no call is sent");
                self.lock().failed(&error, Instant::now());
                Err(error)
            }
        };
        inner.changed.notify_waiters();
        self.report_soon();
        if !counts.is_empty()
            && let Err(error) = inner.budget.count(&inner.account, &counts).await
        {
            tracing::debug!(error = %error.chain(), "statistics of calls could not be stored and are lost");
        }
        passage
    }

    /// Reports everything that is pending, as soon as no other request is under way.
    pub(super) async fn report(&self) {
        // If the budget does not answer, `ask` has already notified the waiters.
        drop(self.exchange_in_turn(None).await);
    }

    /// Sends a request as soon as no other request is under way.
    pub(super) async fn exchange_in_turn(&self, pass: Option<Place>) -> Result<Passage> {
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            let free = {
                let mut queue = self.lock();
                let free = !queue.exchanging;
                queue.exchanging = true;
                free
            };
            if free {
                // The request runs in its own task: a caller that gives up must not leave the request unfinished.
                let pool = self.clone();
                let asked = tokio::spawn(async move { pool.ask(pass).await });
                return asked
                    .await
                    .unwrap_or_else(|_| Err(Error::internal("the request to the budget was lost")));
            }
            changed.await;
        }
    }

    /// Reports everything that is pending within a second, unless a request reports it earlier.
    pub(super) fn report_soon(&self) {
        let mut queue = self.lock();
        let Ok(runtime) = Handle::try_current() else { return };
        if queue.reports_soon || !queue.has_pending_reports() {
            return;
        }
        queue.reports_soon = true;
        let pool = self.clone();
        drop(runtime.spawn(async move {
            // A waiter causes a request before long, and that request also reports what is pending.
            while {
                sleep(REPORT_AFTER).await;
                pool.lock().is_waited_for()
            } {}
            let due = {
                let mut queue = pool.lock();
                queue.reports_soon = false;
                queue.has_pending_reports()
            };
            if due {
                pool.report().await;
            }
        }));
    }
}
