//! A week of three processes with kills and refusals, while other programs spend calls of the same quota of the
//! source.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{
    limits::{
        budget::{CallLimit, Limits, Throttle},
        shared_state::{LocalState, SharedState},
    },
    queue::Lane,
    testkit::ManualClock,
};
use time::macros::datetime;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{Dice, Process, Source, budget, virtual_time};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const CEILING: u32 = 100;
const PLAN: u32 = 5_000;
/// The calls of a first load: 2,221 products, 2,503 customers and 20,000 invoices.
const FIRST_LOAD: u64 = 12 + 23 + 13 + 2_503 + 100 + 20_000;

/// The times that urgent calls waited for their permits, in milliseconds.
type Waits = Arc<Mutex<Vec<u128>>>;

struct Shop {
    shared: Arc<dyn SharedState>,
    source: Source,
    limits: Limits,
    processes: Vec<Process>,
    waits: Waits,
    dice: Dice,
    started: u64,
    kills: u32,
}

impl Shop {
    fn open(per_day: Option<u32>, seed: u64) -> Self {
        let limits =
            Limits { per_minute: Some(CEILING), concurrent: 5, per_day, call_time: Duration::from_secs(60) };
        // The test starts at midnight, so that the days of the test are the days of the budget.
        let clock = ManualClock::new(datetime!(2026-03-02 00:00 UTC));
        let shared: Arc<dyn SharedState> = Arc::new(LocalState::new(&(Arc::new(clock) as _)));
        let source = Source::new(CEILING, (limits.call_time, 1));
        source.seen().quota = per_day.map(u64::from);
        let mut shop = Self {
            shared,
            source,
            limits,
            processes: Vec::new(),
            waits: Arc::default(),
            dice: Dice::new(seed),
            started: 0,
            kills: 0,
        };
        for _process in 0..3 {
            let process = shop.process();
            shop.processes.push(process);
        }
        shop
    }

    /// Starts one process with an endless backlog, eight milliseconds from the database.
    fn process(&mut self) -> Process {
        self.started += 1;
        let far = Duration::from_millis(8);
        let mut process = Process::start(&self.shared, &self.source, &self.limits, far, self.started);
        process.backlog(Lane::Full, 2);
        process
    }

    fn kill_one(&mut self) {
        let victim = usize::try_from(self.dice.below(3)).expect("small");
        self.processes[victim] = self.process();
        self.kills += 1;
    }

    /// Sends one to four webhooks, each to a process chosen at random.
    fn webhooks(&mut self) {
        for _webhook in 0..1 + self.dice.below(4) {
            let caller = self.processes[usize::try_from(self.dice.below(3)).expect("small")].caller.clone();
            let waits = Arc::clone(&self.waits);
            let refused = self.source.clone();
            drop(tokio::spawn(async move {
                let before = refused.seen().refused;
                // A wait during a pause that the source asked for is caused by the source, not by the budget.
                if let Ok(waited) = caller.call(Lane::Webhook).await
                    && refused.seen().refused == before
                {
                    waits.lock().expect("waits").push(waited.as_millis());
                }
            }));
        }
    }

    /// Returns the wait in milliseconds that this share of the urgent calls, in thousandths, did not exceed.
    fn percentile(&self, thousandth: usize) -> u128 {
        let mut waits = self.waits.lock().expect("waits").clone();
        waits.sort_unstable();
        waits.get((waits.len() * thousandth / 1_000).min(waits.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

/// The results of a week.
#[derive(Default)]
struct Week {
    most_a_day: u64,
    most_in_window: usize,
    urgent_p99: u128,
    pace: u64,
    refused: u64,
    own: u64,
    table: String,
}

/// Simulates a week of a plan, with an endless backlog.
fn week(plan: u32) -> Week {
    let budget = u64::from(plan) * 8 / 10;
    let mut table = String::from("day   calls  of TDS  budget  used %  most in 60 s  refused  kills\n");
    let (shop, mut week) = virtual_time().block_on(async {
        let (mut shop, mut week) = (Shop::open(Some(plan), 7), Week::default());
        for day in 0..7 {
            let midnight = Instant::now() + 24 * HOUR;
            let refused_before = shop.source.seen().refused;
            // Other programs spend at most a fifth of the plan. The other four fifths are the budget of TDS.
            let foreign = 150 + shop.dice.below(u64::from(plan) / 8 - 25);
            let mut spent_elsewhere = 0;
            for minute in 0..24 * 60 {
                sleep(MINUTE).await;
                if spent_elsewhere < foreign && shop.dice.below(1440) < foreign {
                    spent_elsewhere += 1;
                    shop.source.seen().today += 1;
                }
                if shop.dice.below(24) == 0 {
                    shop.webhooks();
                }
                if shop.dice.below(180) == 0 {
                    shop.kill_one();
                }
                if shop.dice.below(700) == 0 {
                    let wait = [None, Some(Duration::from_secs(7)), Some(Duration::from_secs(90))];
                    let wait = wait[usize::try_from(shop.dice.below(3)).expect("small")];
                    let limit =
                        if shop.dice.below(4) == 0 { CallLimit::Concurrency } else { CallLimit::Minute };
                    shop.source.seen().refusals.push_back((limit, wait));
                }
                // During the head start of the first day, calls go as fast as the ceiling of the minute allows.
                if (day, minute) == (0, 3) {
                    week.pace = shop.source.seen().today * 1_000 / u64::from(4 * CEILING);
                }
            }
            sleep_until(midnight).await;
            let mut seen = shop.source.seen();
            let own = seen.today - spent_elsewhere;
            let used = own * 100 / (budget * 95 / 100);
            writeln!(
                table,
                "{:>3}  {:>6}  {own:>6}  {budget:>6}  {used:>6}  {:>12}  {:>7}  {:>5}",
                day + 1,
                seen.today,
                seen.most_in_window,
                seen.refused - refused_before,
                shop.kills
            )
            .expect("a line");
            // A call that started before midnight may arrive after midnight. At most the calls in flight can do so.
            assert!(own <= budget + 5, "{table}");
            assert!(seen.today <= u64::from(plan), "{table}");
            assert!(used >= 95, "of what is not kept for people\n{table}");
            week.most_a_day = week.most_a_day.max(own);
            week.own += own;
            seen.today = 0;
        }
        (shop, week)
    });
    let (p50, p99, seen) = (shop.percentile(500), shop.percentile(990), shop.source.seen());
    let urgent = shop.waits.lock().expect("waits").len();
    writeln!(table, "{urgent} urgent calls waited {p50} ms at the median, {p99} ms at p99").expect("a line");
    assert!(seen.most_in_window <= CEILING as usize && seen.most_in_flight <= 5, "{table}");
    assert!(p99 < 2_000 && urgent > 500, "{table}");
    (week.urgent_p99, week.most_in_window, week.refused) = (p99, seen.most_in_window, seen.refused);
    Week { table, ..week }
}

#[test]
fn a_week_stays_within_every_limit_and_uses_what_they_allow() {
    let mut table =
        String::from("plan    calls/day max  max in 60 s  urgent p99 ms  pace %  429s  days of backlog\n");
    for plan in [5_000, 10_000] {
        let week = week(plan);
        println!("{plan} calls a day\n{}", week.table);
        let days = FIRST_LOAD.div_ceil(week.own / 7);
        writeln!(
            table,
            "{plan:>6}  {:>13}  {:>11}  {:>13}  {:>6}  {:>4}  {days:>15}",
            week.most_a_day,
            week.most_in_window,
            week.urgent_p99,
            week.pace / 10,
            week.refused
        )
        .expect("a line");
    }
    println!("{table}pace: of the ceiling, while the day allows; 429s: all were thrown in by the test");
    println!("days of backlog: a first load of {FIRST_LOAD} calls (see the table of costs) beside the rest");
}

#[test]
fn a_day_that_others_spend_becomes_frugal_before_webhooks_have_to_wait_for_the_next() {
    let shop = virtual_time().block_on(async {
        let (mut shop, mut frugal, mut before) = (Shop::open(Some(PLAN), 13), Vec::new(), None);
        for minute in 0..24 * 60 {
            sleep(MINUTE).await;
            if minute == 12 * 60 {
                // Another program runs its own first load.
                shop.source.seen().today = u64::from(PLAN) - 620;
            }
            let status = budget(&shop.shared).status("shop", &shop.limits).await.expect("status");
            assert!(status.throttle() < Throttle::ChangesDeferred, "minute {minute}: {status:?}");
            let bulk = status.day.spent[Lane::Full];
            if status.throttle() == Throttle::Frugal {
                frugal.push(minute);
                assert!(before.is_none_or(|before| bulk == before), "minute {minute}: bulk is closed");
            }
            before = (status.throttle() == Throttle::Frugal).then_some(bulk);
            // While calls are short, at least every second webhook folds into the read of another one.
            let every = if status.patience() > 0 { 8 } else { 4 };
            if shop.dice.below(every) == 0 {
                shop.webhooks();
            }
        }
        let (first, last) = (frugal.first().expect("frugal"), frugal.last().expect("frugal"));
        let times = 1 + frugal.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
        println!("frugal for {} minutes in {times} parts, from {first} to {last}", frugal.len());
        assert!(times <= 8, "{times} times: it flaps");
        assert!((12 * 60..12 * 60 + 30).contains(first), "minute {first}");
        shop
    });
    let seen = shop.source.seen();
    assert!(seen.most_in_window <= CEILING as usize && seen.most_in_flight <= 5);
    assert_eq!(seen.refused, 0);
    assert!(seen.today <= u64::from(PLAN) - 200, "what is for people stays: {} calls", seen.today);
    assert!(shop.percentile(990) < 2_000, "{} ms", shop.percentile(990));
}

#[test]
fn under_a_backlog_the_pace_of_the_minute_is_used_and_urgent_calls_do_not_wait() {
    let minutes: u32 = 120;
    let shop = virtual_time().block_on(async {
        let mut shop = Shop::open(None, 11);
        sleep(MINUTE).await;
        let before = shop.source.seen().total;
        for _minute in 0..minutes {
            sleep(MINUTE).await;
            if shop.dice.below(3) == 0 {
                shop.webhooks();
            }
        }
        let made = shop.source.seen().total - before;
        let share = made * 1_000 / u64::from(minutes * CEILING);
        let asked = shop.source.seen().asked;
        println!("{minutes} minutes: {made} calls, {share} thousandths of the ceiling, {asked} questions");
        assert!(share >= 950, "{share} thousandths of the ceiling");
        shop
    });
    let (p50, p99) = (shop.percentile(500), shop.percentile(990));
    println!("urgent calls waited {p50} ms at the median, {p99} ms at p99");
    assert!(shop.source.seen().most_in_window <= CEILING as usize);
    assert_eq!(shop.source.seen().refused, 0);
    assert!(p99 < 2_000, "{p99} ms");
}
