//! The permit pool: gives the permits of this process to the callers that wait for them.

mod exchange;
mod remembered;
mod wait_queue;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use self::wait_queue::WaitQueue;
use super::{
    BreakerStatus, BudgetStatus, CallBudget, CallFault, LimitSignal, Limits, Passage, PastUsage, Place,
    Refusal, Usage,
};
use crate::{
    error::{Error, Result},
    limits::budget::{CallCount, merge},
    lock::lock,
    queue::{Lane, WorkerId},
};

/// The longest pause that a caller waits for. Where a pause is longer, the call is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The time for which the last known status of breakers is considered current.
const BELIEVED: Duration = Duration::from_secs(2);

/// Spreads calls over time where the budget's shared window does not limit the minute.
pub trait Pacer: Send {
    /// Takes the right to send one call now, or returns how long to wait.
    ///
    /// # Errors
    /// The error is the time to wait.
    fn take(&mut self) -> Result<(), Duration>;

    /// Returns the number of calls left in the minute.
    fn left(&mut self) -> u32;
}

/// Hands out the permits of this process. Clones share one pool.
#[derive(Clone)]
pub struct PermitPool {
    inner: Arc<Inner>,
}

struct Inner {
    budget: CallBudget,
    account: String,
    limits: Limits,
    holder: WorkerId,
    queue: Mutex<WaitQueue>,
    changed: Notify,
}

/// The reason why there is no permit.
#[derive(Debug)]
pub enum Denied {
    /// A limit is exceeded.
    Refused(Refusal),
    /// The budget does not answer, so nothing may be sent.
    Unknown(Error),
}

/// The right to send one call now. Dropping the permit reports whether it was used.
pub struct Permit {
    pool: PermitPool,
    number: u64,
    lane: Lane,
    issued_at: Instant,
    until: Instant,
    used: bool,
}

impl PermitPool {
    /// Creates the pool of one account. `pace` spreads the calls where `limits` does not limit the minute.
    #[must_use]
    pub fn new(budget: CallBudget, account: String, limits: Limits, pace: Option<Box<dyn Pacer>>) -> Self {
        let queue = Mutex::new(WaitQueue::new(pace));
        let holder = WorkerId::unique();
        Self { inner: Arc::new(Inner { budget, account, limits, holder, queue, changed: Notify::new() }) }
    }

    /// Waits for the right to send one call. Urgent lanes are served first, and then the caller that has waited
    /// longest.
    ///
    /// # Errors
    /// A limit lasts longer than two seconds, or the budget does not answer.
    pub async fn enter(&self, lane: Lane) -> Result<Permit, Denied> {
        loop {
            match self.refusal(lane) {
                Some(refusal) if refusal.wait > LONGEST_WAIT => return Err(Denied::Refused(refusal)),
                Some(refusal) => sleep(refusal.wait).await,
                // Without a turn, a limit was exceeded in the meantime. The next pass of the loop finds out which one.
                None => {
                    if let Some(turn) = self.wait_for_turn(lane).await {
                        return turn.map_err(Denied::Unknown);
                    }
                }
            }
        }
    }

    /// Records a limit signal, which is reported with the next request to the budget.
    pub fn signal(&self, signal: LimitSignal) {
        self.lock().add_signal(signal, Instant::now());
    }

    /// Reports at once that the source refused a call. Waiters whose lane is refused now leave the wait queue.
    /// Returns how long the lane has to wait. `None` means that no limit is known to stop the lane, for example
    /// because the budget did not answer.
    pub async fn refused(&self, signal: LimitSignal, lane: Lane) -> Option<Duration> {
        self.signal(signal);
        self.report().await;
        self.lock().refusal(lane, Instant::now()).map(|refusal| refusal.wait)
    }

    /// Returns whether a call to the place may be made. While the place is down for every process, only one probe
    /// at a time may be made. The pool asks the budget only where faults of the place are known.
    ///
    /// # Errors
    /// The budget does not answer.
    pub async fn pass(&self, place: &Place) -> Result<Passage> {
        let shut = {
            let queue = self.lock();
            if !queue.remembered.knows_faults(place) {
                return Ok(Passage::Free);
            }
            match queue.remembered.recent(Instant::now(), BELIEVED) {
                Some((status, passed)) => {
                    let Some(shut) = status.shut(place) else { return Ok(Passage::Free) };
                    let wait = shut.wait.saturating_sub(passed);
                    (!wait.is_zero()).then(|| BreakerStatus { wait, ..shut.clone() })
                }
                None => None,
            }
        };
        match shut {
            Some(shut) => Ok(Passage::Shut(shut)),
            None => self.exchange_in_turn(Some(place.clone())).await,
        }
    }

    /// Reports at once that a call failed for a reason that its record does not cause. Returns the breaker that is
    /// open for the call's place now, if one is.
    pub async fn faulted(&self, fault: CallFault) -> Option<BreakerStatus> {
        let place = fault.place.clone();
        self.signal(LimitSignal::Fault(fault));
        self.report().await;
        let queue = self.lock();
        let (status, _) = queue.remembered.recent(Instant::now(), BELIEVED)?;
        status.shut(&place).cloned()
    }

    /// Records that a call, sent `issued` ago, was answered as expected. Where a breaker was known to be open for
    /// its place, this is reported at once.
    pub async fn worked(&self, place: &Place, issued: Duration) {
        let was_open = {
            let mut queue = self.lock();
            if !queue.remembered.knows_faults(place) {
                return;
            }
            let open =
                queue.remembered.recall(Instant::now()).is_some_and(|status| status.shut(place).is_some());
            queue.add_signal(LimitSignal::Worked { place: place.clone(), issued }, Instant::now());
            queue.remembered.forget_faults(place);
            open
        };
        if was_open {
            self.report().await;
        }
    }

    /// Returns true where only probes are sent to the place, as far as this process knows.
    #[must_use]
    pub fn is_shut(&self, place: &Place) -> bool {
        self.lock().remembered.recall(Instant::now()).is_some_and(|status| status.shut(place).is_some())
    }

    /// Returns the status of the account.
    ///
    /// # Errors
    /// The budget does not answer.
    pub async fn status(&self) -> Result<BudgetStatus> {
        if !self.lock().pending_reports.signals.is_empty() {
            self.report().await;
        }
        let mut status = self.inner.budget.status(&self.inner.account, &self.inner.limits).await?;
        self.lock().remembered.remember(&status, Instant::now());
        if let Some(left) = self.lock().pace.as_mut().map(|pace| pace.left()) {
            status.minute_left = Some(if status.pause.is_some() { 0 } else { left });
        }
        Ok(status)
    }

    /// Gives back the permits that this process does not need, so that other processes need not wait until this
    /// process is considered dead. Callers call this when they will send nothing more.
    pub async fn close(&self) {
        self.report().await;
    }

    /// Returns the statistics of today.
    ///
    /// # Errors
    /// The budget does not answer.
    pub async fn usage(&self) -> Result<Usage> {
        self.inner.budget.usage(&self.inner.account).await
    }

    /// Returns the statistics of the last complete days (UTC), at most this number.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn past_usage(&self, days: u32) -> Result<PastUsage> {
        self.inner.budget.past_usage(&self.inner.account, days).await
    }

    /// Adds a call to the statistics, which are written with the next request to the budget.
    pub fn count(&self, count: CallCount) {
        merge(&mut self.lock().pending_reports.counts, &[count]);
    }

    /// Returns the limit that forbids the lane to send, as far as this process knows.
    #[must_use]
    pub fn refusal(&self, lane: Lane) -> Option<Refusal> {
        self.lock().refusal(lane, Instant::now())
    }

    /// Returns the last status of the account that this process received, if that was within a quarter of an hour.
    /// This does not ask the budget.
    #[must_use]
    pub fn last_status(&self) -> Option<BudgetStatus> {
        self.lock().remembered.recall(Instant::now()).cloned()
    }

    /// Waits for a permit or for the error of the budget. `None` means that the waiter left the wait queue.
    async fn wait_for_turn(&self, lane: Lane) -> Option<Result<Permit>> {
        let mut turn = self.lock().queue(lane, Instant::now());
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            let next = self.serve();
            tokio::select! {
                biased;
                turn = &mut turn => return turn.ok(),
                () = changed => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Gives permits to waiters, and requests more permits where waiters remain. Returns the time at which to call
    /// this again.
    fn serve(&self) -> Instant {
        let now = Instant::now();
        let (served, next, ask) = {
            let mut queue = self.lock();
            let (served, next) = queue.serve(now);
            (served, next, queue.wants_to_ask(now))
        };
        for (turn, lane, number, until) in served {
            let permit = Permit { pool: self.clone(), number, lane, issued_at: now, until, used: false };
            // A waiter that has given up does not receive the permit. Dropping the permit then reports it as
            // unused.
            drop(turn.send(Ok(permit)));
        }
        if ask {
            let pool = self.clone();
            drop(tokio::spawn(async move { drop(pool.ask(None).await) }));
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, WaitQueue> {
        lock(&self.inner.queue)
    }
}

impl Permit {
    /// Returns the time at which the permit was given out.
    #[must_use]
    pub fn issued_at(&self) -> Instant {
        self.issued_at
    }

    /// Marks the permit as used. The caller calls this immediately before sending. `None` means that the permit is
    /// too old, and that nothing may be sent with it.
    #[must_use]
    pub fn start(mut self) -> Option<StartedPermit> {
        self.used = Instant::now() <= self.until;
        self.used.then_some(StartedPermit(self))
    }
}

/// A permit whose call is under way until this value is dropped. Code that sends a call takes a started permit as
/// an argument.
pub struct StartedPermit(#[expect(dead_code, reason = "held, never looked at")] Permit);

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.lock().ended(self.number, self.lane, self.used, Instant::now());
        self.pool.inner.changed.notify_waiters();
        self.pool.report_soon();
    }
}
