//! A week of three processes, with kills, refusals, and other programs that spend of the same quota.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use tds_core::{CallBudget, CallLimit, Lane, Limits, LocalBudget, testkit::ManualClock};
use time::macros::datetime;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{Dice, Process, Source, virtual_time};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const CEILING: u32 = 100;
const PLAN: u32 = 5_000;

/// How long urgent calls waited for their permits, in milliseconds.
type Waits = Arc<Mutex<Vec<u128>>>;

struct Shop {
    budget: Arc<dyn CallBudget>,
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
        // Midnight, so that days of the test are days of the ledger.
        let clock = ManualClock::new(datetime!(2026-03-02 00:00 UTC));
        let budget: Arc<dyn CallBudget> = Arc::new(LocalBudget::new(&(Arc::new(clock) as _)));
        let source = Source::new(CEILING, (limits.call_time, 1));
        source.seen().quota = per_day.map(u64::from);
        let mut shop = Self {
            budget,
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

    /// One process with a backlog that never ends, eight milliseconds from the database.
    fn process(&mut self) -> Process {
        self.started += 1;
        let far = Duration::from_millis(8);
        let mut process = Process::start(&self.budget, &self.source, &self.limits, far, self.started);
        process.backlog(Lane::Full, 2);
        process
    }

    fn kill_one(&mut self) {
        let victim = usize::try_from(self.dice.below(3)).expect("small");
        self.processes[victim] = self.process();
        self.kills += 1;
    }

    /// Webhooks, one to four at a time, at any process.
    fn webhooks(&mut self) {
        for _webhook in 0..1 + self.dice.below(4) {
            let caller = self.processes[usize::try_from(self.dice.below(3)).expect("small")].caller.clone();
            let waits = Arc::clone(&self.waits);
            let refused = self.source.clone();
            drop(tokio::spawn(async move {
                let before = refused.seen().refused;
                // A wait during a pause that the source asked for is the source's, not the budget's.
                if let Ok(waited) = caller.call(Lane::Webhook).await
                    && refused.seen().refused == before
                {
                    waits.lock().expect("waits").push(waited.as_millis());
                }
            }));
        }
    }

    /// The given share of the urgent calls waited no longer than this, in milliseconds.
    fn percentile(&self, thousandth: usize) -> u128 {
        let mut waits = self.waits.lock().expect("waits").clone();
        waits.sort_unstable();
        waits.get((waits.len() * thousandth / 1_000).min(waits.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

#[test]
fn a_week_stays_within_every_limit_and_uses_what_they_allow() {
    let mut table = String::from("day   calls  of TDS  budget  used %  most in 60 s  refused  kills\n");
    let shop = virtual_time().block_on(async {
        let mut shop = Shop::open(Some(PLAN), 7);
        for day in 0..7 {
            let midnight = Instant::now() + 24 * HOUR;
            let refused_before = shop.source.seen().refused;
            // Other programs spend up to a fifth of the plan, TDS's four fifths are its own.
            let foreign = 150 + shop.dice.below(600);
            let mut spent_elsewhere = 0;
            let mut minute = 0;
            while minute < 24 * 60 {
                sleep(MINUTE).await;
                minute += 1;
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
                    let wish = [None, Some(Duration::from_secs(7)), Some(Duration::from_secs(90))];
                    let wish = wish[usize::try_from(shop.dice.below(3)).expect("small")];
                    let limit =
                        if shop.dice.below(4) == 0 { CallLimit::Concurrency } else { CallLimit::Minute };
                    shop.source.seen().refusals.push_back((limit, wish));
                }
            }
            sleep_until(midnight).await;
            let mut seen = shop.source.seen();
            let own = seen.today - spent_elsewhere;
            let budget = u64::from(PLAN) * 8 / 10;
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
            // A call that was let go before midnight may arrive after it: at most those in flight.
            assert!(own <= budget + 5, "{table}");
            assert!(seen.today <= u64::from(PLAN), "{table}");
            assert!(used >= 95, "of what is not kept for people\n{table}");
            seen.today = 0;
        }
        shop
    });
    let (p50, p99, seen) = (shop.percentile(500), shop.percentile(990), shop.source.seen());
    let urgent = shop.waits.lock().expect("waits").len();
    writeln!(table, "{urgent} urgent calls waited {p50} ms at the median, {p99} ms at p99").expect("a line");
    println!("{table}");
    assert!(seen.most_in_window <= CEILING as usize && seen.most_in_flight <= 5, "{table}");
    assert!(p99 < 2_000 && urgent > 500, "{table}");
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
