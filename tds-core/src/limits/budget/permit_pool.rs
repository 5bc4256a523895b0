//! The permits of this process: who waits for one, and who gets it.

mod exchange;
mod remembered;
mod wait_queue;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use self::wait_queue::{WaitQueue, WaitResult};
use super::{
    BreakerStatus, BudgetStatus, CallBudget, CallFault, LimitSignal, Limits, Passage, Place, Refusal, Usage,
};
use crate::{
    error::{Error, Result},
    limits::budget::CallCount,
    queue::{Lane, WorkerId},
};

/// Pauses up to this long are waited for; who must wait longer is sent away.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// What was heard of breakers is believed for this long.
const BELIEVED: Duration = Duration::from_secs(2);

/// Spreads calls where no shared window does it.
pub trait Pacer: Send {
    /// Takes the right to send one call now, or says how long to wait.
    ///
    /// # Errors
    /// The wait.
    fn take(&mut self) -> Result<(), Duration>;

    /// Calls that the minute has left.
    fn left(&mut self) -> u32;
}

/// Hands out the permits of this process. Clones share it.
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

/// Why there is no permit.
#[derive(Debug)]
pub enum Denied {
    /// A limit is met.
    Refused(Refusal),
    /// The budget cannot be asked, so nothing may be sent.
    Unknown(Error),
}

/// The right to send one call now. Whether it was used is told when it is dropped.
pub struct Permit {
    pool: PermitPool,
    number: u64,
    lane: Lane,
    issued_at: Instant,
    until: Instant,
    used: bool,
}

impl PermitPool {
    /// The permits of one account. `pace` spreads the calls where `limits` leave the minute to it.
    #[must_use]
    pub fn new(budget: CallBudget, account: String, limits: Limits, pace: Option<Box<dyn Pacer>>) -> Self {
        let queue = Mutex::new(WaitQueue::new(pace));
        let holder = WorkerId::unique();
        Self { inner: Arc::new(Inner { budget, account, limits, holder, queue, changed: Notify::new() }) }
    }

    /// Waits for the right to send one call. Urgent lanes go first, then who waits longest.
    ///
    /// # Errors
    /// A limit that lasts longer than two seconds, or a budget that cannot be asked.
    pub async fn enter(&self, lane: Lane) -> Result<Permit, Denied> {
        loop {
            match self.refusal(lane) {
                Some(refusal) if refusal.wait > LONGEST_WAIT => return Err(Denied::Refused(refusal)),
                Some(refusal) => sleep(refusal.wait).await,
                None => match self.wait_for_turn(lane).await {
                    WaitResult::Permit(permit) => return Ok(permit),
                    WaitResult::Unknown(error) => return Err(Denied::Unknown(error)),
                    // A limit was met meanwhile: look which.
                    WaitResult::Away => {}
                },
            }
        }
    }

    /// Takes note of what the source said, to be told with the next question.
    pub fn signal(&self, signal: LimitSignal) {
        self.lock().add_signal(signal, Instant::now());
    }

    /// Tells at once that the source refused a call, and sends everybody away who must wait now. How long the
    /// lane has to wait; `None`: the budget could not be asked.
    pub async fn refused(&self, signal: LimitSignal, lane: Lane) -> Option<Duration> {
        self.signal(signal);
        self.report().await;
        self.lock().refusal(lane, Instant::now()).map(|refusal| refusal.wait)
    }

    /// Whether a call to the place may be made: it may not while the place is down for everybody, but for one probe
    /// now and then. Asks the budget only where faults were heard of.
    ///
    /// # Errors
    /// The budget cannot be asked.
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

    /// Tells at once that a call failed by what is no matter of its record. The breaker that is open for its place
    /// now, if one is.
    pub async fn faulted(&self, fault: CallFault) -> Option<BreakerStatus> {
        let place = fault.place.clone();
        self.signal(LimitSignal::Fault(fault));
        self.report().await;
        let queue = self.lock();
        let (status, _) = queue.remembered.recent(Instant::now(), BELIEVED)?;
        status.shut(&place).cloned()
    }

    /// Takes note that a call, let go `issued` ago, was answered as it should be. Where its place was believed to be
    /// down everybody is told at once.
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

    /// True where nothing but probes is sent to the place, as far as this process heard.
    #[must_use]
    pub fn is_shut(&self, place: &Place) -> bool {
        self.lock().remembered.recall(Instant::now()).is_some_and(|status| status.shut(place).is_some())
    }

    /// How the account stands.
    ///
    /// # Errors
    /// The budget cannot be asked.
    pub async fn status(&self) -> Result<BudgetStatus> {
        if self.lock().has_signals() {
            self.report().await;
        }
        let mut status = self.inner.budget.status(&self.inner.account, &self.inner.limits).await?;
        self.lock().remembered.remember(&status, Instant::now());
        if let Some(left) = self.lock().pace_left() {
            status.minute_left = Some(if status.pause.is_some() { 0 } else { left });
        }
        Ok(status)
    }

    /// Gives back what this process has and does not need, so that others need not wait until it is believed dead.
    /// Call it when nothing more will be sent.
    pub async fn close(&self) {
        self.report().await;
    }

    /// The statistics of today.
    ///
    /// # Errors
    /// The budget cannot be asked.
    pub async fn usage(&self) -> Result<Usage> {
        self.inner.budget.usage(&self.inner.account).await
    }

    /// Adds a call to the statistics. They are written with the next question.
    pub fn count(&self, count: CallCount) {
        self.lock().count(&count);
    }

    /// What forbids the lane to send, as far as this process heard.
    #[must_use]
    pub fn refusal(&self, lane: Lane) -> Option<Refusal> {
        self.lock().refusal(lane, Instant::now())
    }

    /// How the account stood when this process last heard of it, within a quarter of an hour. Asks nobody.
    #[must_use]
    pub fn last_status(&self) -> Option<BudgetStatus> {
        self.lock().remembered.recall(Instant::now())
    }

    async fn wait_for_turn(&self, lane: Lane) -> WaitResult {
        let mut turn = self.lock().queue(lane, Instant::now());
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            let next = self.serve();
            tokio::select! {
                biased;
                turn = &mut turn => return turn.unwrap_or(WaitResult::Away),
                () = changed => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Gives out what can be given, and asks for more where somebody waits in vain. When to look again.
    fn serve(&self) -> Instant {
        let now = Instant::now();
        let (served, next, ask) = {
            let mut queue = self.lock();
            let (served, next) = queue.serve(now);
            (served, next, queue.wants_to_ask(now))
        };
        for (turn, lane, number, until) in served {
            let permit = Permit { pool: self.clone(), number, lane, issued_at: now, until, used: false };
            // Who went away meanwhile leaves the permit to its drop.
            drop(turn.send(WaitResult::Permit(permit)));
        }
        if ask {
            let pool = self.clone();
            drop(tokio::spawn(async move { drop(pool.ask(None).await) }));
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, WaitQueue> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// When it was given out.
    #[must_use]
    pub fn issued_at(&self) -> Instant {
        self.issued_at
    }

    /// Call it just before sending: `None` where the permit is too old, and nothing may be sent with it.
    #[must_use]
    pub fn start(mut self) -> Option<StartedPermit> {
        self.used = Instant::now() <= self.until;
        self.used.then_some(StartedPermit(self))
    }
}

/// A permit whose call is under way, until this is dropped. What sends a call takes one of these.
pub struct StartedPermit(Permit);

impl StartedPermit {
    /// When it was given out.
    #[must_use]
    pub fn issued_at(&self) -> Instant {
        self.0.issued_at
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.lock().ended(self.number, self.lane, self.used, Instant::now());
        self.pool.inner.changed.notify_waiters();
        self.pool.report_soon();
    }
}
