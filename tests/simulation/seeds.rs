//! Many seeds at once, one seed again, and the planted bugs.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::time::Instant;

use crate::{bugs::Bug, plan::Plan, simulate::simulate, world::Report};

/// How many seeds are run where nobody says.
const SEEDS: u64 = 10_000;
/// A planted bug is found within so many.
const WITHIN: u64 = 1_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What a number of seeds found.
#[derive(Default)]
struct Sum {
    seeds: u64,
    counts: BTreeMap<&'static str, u64>,
    /// The first seed that violates something, with its report.
    violated: Option<(u64, Report)>,
}

/// Runs seeds on two threads until one violates an invariant.
fn run_seeds(first: u64, count: u64, bug: Option<Bug>) -> Sum {
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let work = || {
        let mut sum = Sum::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                break;
            }
            let report = simulate(Plan::of(seed, bug), false);
            sum.seeds += 1;
            for (name, number) in &report.counts {
                *sum.counts.entry(name).or_default() += number;
            }
            if !report.violations.is_empty() {
                stop.store(true, Ordering::Relaxed);
                sum.violated = Some((seed, report));
            }
        }
        sum
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut sum = work();
        let other = other.join().expect("a thread of seeds");
        sum.seeds += other.seeds;
        for (name, number) in other.counts {
            *sum.counts.entry(name).or_default() += number;
        }
        let both = [sum.violated.take(), other.violated];
        sum.violated = both.into_iter().flatten().min_by_key(|(seed, _)| *seed);
        sum
    })
}

#[test]
fn no_seed_violates_an_invariant() {
    if let Some(seed) = variable("TDS_SIM_SEED") {
        let report = simulate(Plan::of(seed, None), true);
        report.lines.iter().for_each(|line| println!("{line}"));
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        return;
    }
    let (first, count) = (variable("TDS_SIM_FIRST").unwrap_or(0), variable("TDS_SIM_SEEDS").unwrap_or(SEEDS));
    let began = Instant::now();
    let sum = run_seeds(first, count, None);
    println!("{} seeds in {:.1?}: {:?}", sum.seeds, began.elapsed(), sum.counts);
    if let Some((seed, report)) = sum.violated {
        let trace = simulate(Plan::of(seed, None), true).lines;
        let shown = trace.len().saturating_sub(60);
        panic!(
            "seed {seed} violates an invariant: {:#?}\nthe end of its trace:\n{}\n\
             again, with its trace: TDS_SIM_SEED={seed} cargo test -p tests --test simulation no_seed -- --nocapture",
            report.violations,
            trace[shown..].join("\n")
        );
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..40 {
        let [first, second] = [(); 2].map(|()| simulate(Plan::of(seed, None), true));
        assert_eq!(first.lines, second.lines, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let sum = run_seeds(0, WITHIN, Some(bug));
        match sum.violated {
            Some((seed, report)) => {
                println!("{bug:?}: found by seed {seed} after {} seeds: {}", sum.seeds, report.violations[0]);
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found within {WITHIN} seeds: {missed:?}");
}
