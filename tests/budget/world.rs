//! A source that counts arrivals, and processes that call it, on virtual time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tds_core::{
    error::Result,
    limits::{
        budget::{CallBudget, CallCount, CallLimit, CallLog, Denied, LimitSignal, Limits, PermitPool, Usage},
        shared_state::{Document, SharedState},
    },
    queue::Lane,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

const WINDOW: Duration = Duration::from_secs(60);

/// Numbers by chance, the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}

/// What the source saw.
#[derive(Default)]
pub(crate) struct Seen {
    window: VecDeque<Instant>,
    pub(crate) total: u64,
    pub(crate) today: u64,
    pub(crate) most_in_window: usize,
    pub(crate) most_in_flight: usize,
    pub(crate) in_flight: usize,
    pub(crate) refused: u64,
    /// Questions to the shared budget.
    pub(crate) asked: u64,
    pub(crate) quota: Option<u64>,
    /// The next calls that are refused, with or without a wish for the pause.
    pub(crate) refusals: VecDeque<(CallLimit, Option<Duration>)>,
    /// Refused until then, as a punishment for too many.
    blocked: Option<Instant>,
}

/// The source.
#[derive(Clone)]
pub(crate) struct Source {
    seen: Arc<Mutex<Seen>>,
    ceiling: usize,
    /// After how long a call is given up, and how many in a thousand are never answered.
    pub(crate) slow: (Duration, u64),
}

impl Source {
    pub(crate) fn new(ceiling: u32, slow: (Duration, u64)) -> Self {
        Self { seen: Arc::default(), ceiling: usize::try_from(ceiling).expect("small"), slow }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call arrives. What it is answered.
    pub(crate) fn arrive(&self) -> std::result::Result<Option<u64>, (CallLimit, Option<Duration>)> {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.total += 1;
        seen.today += 1;
        // The window (t, t + 60] that begins with the oldest of these has it no more.
        while seen.window.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            seen.window.pop_front();
        }
        seen.window.push_back(now);
        seen.most_in_window = seen.most_in_window.max(seen.window.len());
        let left = seen.quota.map(|quota| quota.saturating_sub(seen.today));
        let answer = if let Some(refusal) = seen.refusals.pop_front() {
            Err(refusal)
        } else if seen.window.len() > self.ceiling || seen.blocked.is_some_and(|until| until > now) {
            seen.blocked = Some(now + WINDOW);
            Err((CallLimit::Minute, None))
        } else if seen.quota.is_some_and(|quota| seen.today > quota) {
            Err((CallLimit::Day, None))
        } else {
            Ok(left)
        };
        seen.refused += u64::from(answer.is_err());
        answer
    }
}

/// The shared documents as one process reaches them: far away, and out of reach once the process is dead.
struct Remote {
    shared: Arc<dyn SharedState>,
    source: Source,
    dead: Arc<AtomicBool>,
    far: Duration,
}

#[async_trait]
impl SharedState for Remote {
    async fn load(&self, name: &str) -> Result<Document> {
        self.source.seen().asked += 1;
        sleep(self.far / 2).await;
        if self.dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.shared.load(name).await
    }

    async fn swap(&self, name: &str, version: u64, text: &str) -> Result<bool> {
        let swapped = self.shared.swap(name, version, text).await;
        sleep(self.far / 2).await;
        swapped
    }
}

/// Statistics that nobody looks at.
struct NoLog;

#[async_trait]
impl CallLog for NoLog {
    async fn count(&self, _account: &str, _calls: &[CallCount]) -> Result<()> {
        Ok(())
    }

    async fn usage(&self, _account: &str) -> Result<Usage> {
        Ok(Usage::default())
    }
}

/// The budget over these documents, without statistics.
pub(crate) fn budget(shared: &Arc<dyn SharedState>) -> CallBudget {
    CallBudget::new(Arc::clone(shared), Arc::new(NoLog))
}

/// A process; killed when it is dropped.
pub(crate) struct Process {
    pub(crate) caller: Caller,
    tasks: JoinSet<()>,
    dead: Arc<AtomicBool>,
}

/// What its tasks call with.
#[derive(Clone)]
pub(crate) struct Caller {
    pool: PermitPool,
    source: Source,
    call_time: Duration,
    dice: Arc<Mutex<Dice>>,
}

impl Process {
    pub(crate) fn start(
        shared: &Arc<dyn SharedState>,
        source: &Source,
        limits: &Limits,
        far: Duration,
        seed: u64,
    ) -> Self {
        let dead = Arc::new(AtomicBool::new(false));
        let remote: Arc<dyn SharedState> = Arc::new(Remote {
            shared: Arc::clone(shared),
            source: source.clone(),
            dead: Arc::clone(&dead),
            far,
        });
        let pool = PermitPool::new(budget(&remote), "shop".to_owned(), limits.clone(), None);
        let dice = Arc::new(Mutex::new(Dice::new(seed)));
        let caller = Caller { pool, source: source.clone(), call_time: limits.call_time, dice };
        Self { caller, tasks: JoinSet::new(), dead }
    }

    /// Tasks that call without end, as a long backlog does.
    pub(crate) fn backlog(&mut self, lane: Lane, tasks: usize) {
        for _task in 0..tasks {
            let caller = self.caller.clone();
            self.tasks.spawn(async move {
                loop {
                    if let Err(wait) = caller.call(lane).await {
                        sleep(wait.clamp(Duration::from_secs(30), Duration::from_secs(300))).await;
                    }
                }
            });
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.dead.store(true, Ordering::Relaxed);
        self.tasks.abort_all();
    }
}

impl Caller {
    /// One call of the lane: how long it waited for its permit, or how long it has to wait.
    pub(crate) async fn call(&self, lane: Lane) -> std::result::Result<Duration, Duration> {
        let came = Instant::now();
        loop {
            let permit = match self.pool.enter(lane).await {
                Ok(permit) => permit,
                Err(Denied::Refused(refusal)) => return Err(refusal.wait),
                Err(Denied::Unknown(_)) => return Err(Duration::from_secs(1)),
            };
            let Some(permit) = permit.start() else { continue };
            let (waited, issued) = (came.elapsed(), permit.issued_at());
            let answer = self.send().await;
            drop(permit);
            match answer {
                Ok(left) => {
                    self.pool.signal(LimitSignal::Admission { issued: issued.elapsed() });
                    if let Some((remaining, limit)) = left {
                        self.pool.signal(LimitSignal::Quota {
                            limit,
                            remaining,
                            reset: None,
                            age: Duration::ZERO,
                        });
                    }
                    return Ok(waited);
                }
                Err(None) => return Ok(waited),
                Err(Some((limit, retry_after))) => {
                    let chance = self.dice().below(1 << 40);
                    let heard = LimitSignal::Refused {
                        limit,
                        issued: issued.elapsed(),
                        retry_after,
                        reset: None,
                        chance,
                    };
                    let wait = self.pool.refused(heard, lane).await;
                    return Err(wait.unwrap_or(Duration::from_secs(1)));
                }
            }
        }
    }

    /// Sends. It arrives after a while, also if this process dies meanwhile; the answer takes another while.
    async fn send(&self) -> std::result::Result<Option<(u32, u32)>, Option<(CallLimit, Option<Duration>)>> {
        let (longest, share) = self.source.slow;
        let (there, back, lost) = {
            let mut dice = self.dice();
            let lost = dice.below(1_000) < share;
            // Timers are rounded up: a call that is lost leaves the source just before it is given up.
            let whole = if lost { longest - Duration::from_millis(5) } else { dice.millis(60, 500) };
            let there = whole.mul_f64(f64::from(u32::try_from(dice.below(1_001)).unwrap_or(0)) / 1_000.0);
            (there, whole - there, lost)
        };
        let source = self.source.clone();
        let began = Instant::now();
        {
            let mut seen = source.seen();
            seen.in_flight += 1;
            seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
        }
        let arrived = tokio::spawn(async move {
            sleep(there).await;
            let answer = source.arrive();
            sleep(back).await;
            source.seen().in_flight -= 1;
            if lost {
                std::future::pending::<()>().await;
            }
            answer
        });
        let give_up = began + self.call_time;
        tokio::select! {
            biased;
            answer = arrived => match answer.expect("the source answers") {
                Ok(left) => {
                    let quota = self.source.seen().quota;
                    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                    Ok(left.zip(quota).map(|(left, quota)| (small(left), small(quota))))
                }
                Err(refusal) => Err(Some(refusal)),
            },
            () = sleep_until(give_up) => Err(None),
        }
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A runtime whose time passes only where everybody waits.
pub(crate) fn virtual_time() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}
