//! The shared parts of one simulation: the plan, the dice, the trace, the counts, and the violations.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use tds_core::{clock::Clock, lock::lock};
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

use crate::{dice::Dice, plan::Plan};

/// The time at which every simulation begins.
const START: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

/// The parts that all others share.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) clock: SimClock,
    calm: AtomicBool,
    /// True once no schedule starts runs any more.
    still: AtomicBool,
    diary: Mutex<Diary>,
}

/// Virtual time.
#[derive(Clone, Copy)]
pub(crate) struct SimClock(Instant);

/// The record of what happened.
#[derive(Default)]
struct Diary {
    hash: u64,
    lines: Option<Vec<String>>,
    counts: BTreeMap<&'static str, u64>,
    violations: Vec<String>,
}

/// The result of a simulation.
pub(crate) struct Report {
    pub(crate) hash: u64,
    pub(crate) lines: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<String>,
}

impl World {
    /// Creates the world of a plan. With `tracing`, it keeps the lines of the trace and not only their hash.
    pub(crate) fn new(plan: Plan, tracing: bool) -> Arc<Self> {
        let diary = Diary { hash: 0xCBF2_9CE4_8422_2325, lines: tracing.then(Vec::new), ..Diary::default() };
        Arc::new(Self {
            dice: Dice::new(plan.seed),
            plan,
            clock: SimClock(Instant::now()),
            calm: AtomicBool::new(false),
            still: AtomicBool::new(false),
            diary: Mutex::new(diary),
        })
    }

    /// Returns true once the faults are off.
    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Returns true once no schedule starts runs any more.
    pub(crate) fn is_still(&self) -> bool {
        self.still.load(Ordering::Relaxed)
    }

    pub(crate) fn be_still(&self) {
        self.still.store(true, Ordering::Relaxed);
    }

    /// Returns whether a fault of this share strikes now, and counts the fault by its name.
    pub(crate) fn strikes(&self, name: &'static str, share: u64) -> bool {
        if self.is_calm() || !self.dice.permille(share) {
            return false;
        }
        self.count(name);
        true
    }

    pub(crate) fn count(&self, name: &'static str) {
        *self.diary().counts.entry(name).or_default() += 1;
    }

    /// Notes an event of the trace: the numbers are hashed, and the text is for readers.
    pub(crate) fn note(&self, what: &'static str, numbers: [u64; 2], text: impl FnOnce() -> String) {
        let now = self.clock.now();
        let millis = (now - START).whole_milliseconds();
        let mut diary = self.diary();
        let time = u64::try_from(millis).unwrap_or_default();
        for byte in what.bytes().map(u64::from).chain(numbers).chain([time]) {
            diary.hash = (diary.hash ^ byte).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(5);
        }
        if let Some(lines) = &mut diary.lines {
            lines.push(format!("{millis:>8} ms  {what} {}", text()));
        }
    }

    /// Notes that an invariant does not hold.
    pub(crate) fn violated(&self, what: String) {
        self.note("VIOLATION", [0, 0], || what.clone());
        self.diary().violations.push(what);
    }

    pub(crate) fn is_violated(&self) -> bool {
        !self.diary().violations.is_empty()
    }

    pub(crate) fn report(&self) -> Report {
        let diary = self.diary();
        Report {
            hash: diary.hash,
            lines: diary.lines.clone().unwrap_or_default(),
            counts: diary.counts.clone(),
            violations: diary.violations.clone(),
        }
    }

    fn diary(&self) -> MutexGuard<'_, Diary> {
        lock(&self.diary)
    }
}

impl SimClock {
    /// Returns the whole seconds since 1970, the unit of the source's versions.
    pub(crate) fn second(self) -> i64 {
        self.now().unix_timestamp()
    }

    /// Returns the seconds since the start of the simulation.
    pub(crate) fn elapsed(self) -> i64 {
        (self.now() - START).whole_seconds()
    }
}

impl Clock for SimClock {
    fn now(&self) -> OffsetDateTime {
        START + self.0.elapsed()
    }
}
