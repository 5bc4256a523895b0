//! A source that counts arrivals, and processes that call it, on virtual time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
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
    lock::lock,
    queue::Lane,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

const WINDOW: Duration = Duration::from_secs(60);

/// Random numbers, which are the same for the same seed.
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

/// The calls that the source received.
#[derive(Default)]
pub(crate) struct Seen {
    window: VecDeque<Instant>,
    pub(crate) total: u64,
    pub(crate) today: u64,
    pub(crate) most_in_window: usize,
    pub(crate) most_in_flight: usize,
    pub(crate) in_flight: usize,
    pub(crate) refused: u64,
    /// The number of loads of the shared budget document.
    pub(crate) asked: u64,
    pub(crate) quota: Option<u64>,
    /// The next calls that are refused, with or without a requested length of the pause.
    pub(crate) refusals: VecDeque<(CallLimit, Option<Duration>)>,
    /// All calls are refused until this time, as a punishment for too many calls.
    blocked: Option<Instant>,
}

/// The source.
#[derive(Clone)]
pub(crate) struct Source {
    seen: Arc<Mutex<Seen>>,
    ceiling: usize,
    /// The time after which a caller gives a call up, and how many calls in a thousand are never answered.
    pub(crate) slow: (Duration, u64),
}

impl Source {
    pub(crate) fn new(ceiling: u32, slow: (Duration, u64)) -> Self {
        Self { seen: Arc::default(), ceiling: usize::try_from(ceiling).expect("small"), slow }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Receives a call and returns its answer.
    pub(crate) fn arrive(&self) -> std::result::Result<Option<u64>, (CallLimit, Option<Duration>)> {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.total += 1;
        seen.today += 1;
        // A window is half open, (t, t + 60 s]: an arrival that is 60 seconds old no longer belongs to the window.
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

/// The shared documents as one process reaches them: with a delay, and no longer once the process is dead.
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

/// Call statistics that are discarded.
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

/// Returns the budget over these documents, without statistics.
pub(crate) fn budget(shared: &Arc<dyn SharedState>) -> CallBudget {
    CallBudget::new(Arc::clone(shared), Arc::new(NoLog))
}

/// A process, which is killed when the value is dropped.
pub(crate) struct Process {
    pub(crate) caller: Caller,
    tasks: JoinSet<()>,
    dead: Arc<AtomicBool>,
}

/// The parts with which the tasks of a process make calls.
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

    /// Starts tasks that make calls without end, like a long backlog.
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
    /// Makes one call of the lane. Returns how long the call waited for its permit, or how long the caller has to
    /// wait.
    pub(crate) async fn call(&self, lane: Lane) -> std::result::Result<Duration, Duration> {
        let came = Instant::now();
        loop {
            let permit = match self.pool.enter(lane).await {
                Ok(permit) => permit,
                Err(Denied::Refused(refusal)) => return Err(refusal.wait),
                Err(Denied::Unknown(_)) => return Err(Duration::from_secs(1)),
            };
            let issued = permit.issued_at();
            let Some(permit) = permit.start() else { continue };
            let waited = came.elapsed();
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
                    let signal = LimitSignal::Refused {
                        limit,
                        issued: issued.elapsed(),
                        retry_after,
                        reset: None,
                        chance,
                    };
                    let wait = self.pool.refused(signal, lane).await;
                    return Err(wait.unwrap_or(Duration::from_secs(1)));
                }
            }
        }
    }

    /// Sends a call. The call arrives after a while, even if this process dies in the meantime, and the answer takes
    /// another while.
    async fn send(&self) -> std::result::Result<Option<(u32, u32)>, Option<(CallLimit, Option<Duration>)>> {
        let (longest, share) = self.source.slow;
        let (there, back, lost) = {
            let mut dice = self.dice();
            let lost = dice.below(1_000) < share;
            // Timers are rounded up, so a lost call must leave the source just before the caller gives it up.
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
        lock(&self.dice)
    }
}

/// Returns a runtime whose time advances only while all tasks wait.
pub(crate) fn virtual_time() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}
