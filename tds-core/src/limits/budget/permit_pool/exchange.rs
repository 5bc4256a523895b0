//! Asking the shared budget, and telling it what became of its permits.

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

/// An answer that comes later than this is of no use.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is not urgent to tell waits this long for company.
const REPORT_AFTER: Duration = Duration::from_secs(1);

impl PermitPool {
    /// One question and its answer: whether a call to `pass` may be made.
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
                tracing::warn!(error = %error.chain(), "the budget of calls cannot be asked: nothing is sent");
                self.lock().failed(&error, Instant::now());
                Err(error)
            }
        };
        inner.changed.notify_waiters();
        self.report_soon();
        if !counts.is_empty()
            && let Err(error) = inner.budget.count(&inner.account, &counts).await
        {
            tracing::debug!(error = %error.chain(), "statistics of calls are lost");
        }
        passage
    }

    /// Tells what there is to tell, as soon as no other question is under way.
    pub(super) async fn report(&self) {
        // Who waits for permits is told where the budget cannot be asked.
        drop(self.exchange_in_turn(None).await);
    }

    /// Asks as soon as no other question is under way.
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
                // In a task of its own: a caller that gives up must not leave the question unanswered.
                let pool = self.clone();
                let asked = tokio::spawn(async move { pool.ask(pass).await });
                return asked
                    .await
                    .unwrap_or_else(|_| Err(Error::internal("the question to the budget was lost")));
            }
            changed.await;
        }
    }

    /// Tells what there is to tell within a second, unless a question does it before.
    pub(super) fn report_soon(&self) {
        let mut queue = self.lock();
        let Ok(runtime) = Handle::try_current() else { return };
        if queue.reports_soon || !queue.has_pending_reports() {
            return;
        }
        queue.reports_soon = true;
        let pool = self.clone();
        drop(runtime.spawn(async move {
            // Who waits for a permit asks before long, and tells the news with it.
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
