//! The tests: many seeds at once, the replay of one seed, and the planted bugs.
#![expect(clippy::print_stdout, reason = "the figures are what a person looks for in the output")]

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::{bugs::Bug, plan::Plan, simulate::simulate, world::Report};

/// The number of seeds if `TDS_SIM_SEEDS` is not set.
const SEEDS: u64 = 10_000;
const QUARTERS: u64 = 4;
/// The number of seeds with planted drift if `TDS_SIM_DRIFT_SEEDS` is not set.
const DRIFT_SEEDS: u64 = 300;
/// A planted bug must be found within this number of seeds.
const WITHIN: u64 = 4_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The findings of a number of seeds.
#[derive(Default)]
struct Sum {
    seeds: u64,
    counts: BTreeMap<&'static str, u64>,
    /// The first seed that violates an invariant, with its report.
    violated: Option<(u64, Report)>,
}

/// Runs seeds until one of them violates an invariant.
fn run_seeds(first: u64, count: u64, plan: impl Fn(u64) -> Plan) -> Sum {
    let mut sum = Sum::default();
    for seed in first..first + count {
        let report = simulate(plan(seed), false);
        sum.seeds += 1;
        for (name, number) in &report.counts {
            *sum.counts.entry(name).or_default() += number;
        }
        if !report.violations.is_empty() {
            sum.violated = Some((seed, report));
            break;
        }
    }
    sum
}

/// Replays one seed and prints its trace.
fn replay(seed: u64) {
    let report = simulate(Plan::of(seed, None), true);
    report.lines.iter().for_each(|line| println!("{line}"));
    assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
}

/// Runs one quarter of the seeds. Each quarter is a separate test, so that the quarters run on several cores.
fn quarter(number: u64) {
    if let Some(seed) = variable("TDS_SIM_SEED") {
        if seed % QUARTERS == number {
            replay(seed);
        }
        return;
    }
    let (first, all) = (variable("TDS_SIM_FIRST").unwrap_or(0), variable("TDS_SIM_SEEDS").unwrap_or(SEEDS));
    let count = all.div_ceil(QUARTERS);
    let began = Instant::now();
    let sum = run_seeds(first + number * count, count, |seed| Plan::of(seed, None));
    println!(
        "{} seeds in {:.1?}, violations: {}",
        sum.seeds,
        began.elapsed(),
        u8::from(sum.violated.is_some())
    );
    sum.counts.iter().for_each(|(name, number)| println!("{number:>9} {name}"));
    if let Some((seed, report)) = sum.violated {
        let trace = simulate(Plan::of(seed, None), true).lines;
        let shown = trace.len().saturating_sub(60);
        panic!(
            "seed {seed} violates an invariant: {:#?}\nthe end of its trace:\n{}\n\
             again, with its whole trace: TDS_SIM_SEED={seed} cargo test -p tests --test simulation quarter -- --nocapture",
            report.violations,
            trace[shown..].join("\n")
        );
    }
}

#[test]
fn no_seed_of_the_first_quarter_violates_an_invariant() {
    quarter(0);
}

#[test]
fn no_seed_of_the_second_quarter_violates_an_invariant() {
    quarter(1);
}

#[test]
fn no_seed_of_the_third_quarter_violates_an_invariant() {
    quarter(2);
}

#[test]
fn no_seed_of_the_fourth_quarter_violates_an_invariant() {
    quarter(3);
}

/// Returns the plan of a seed whose mirror is changed by others, and compared.
fn drifting(seed: u64, bug: Option<Bug>) -> Plan {
    Plan { drifts: true, ..Plan::of(seed, bug) }
}

#[test]
fn comparisons_find_exactly_what_differs_and_repair_all_of_it() {
    if let Some(seed) = variable("TDS_SIM_DRIFT_SEED") {
        let report = simulate(drifting(seed, None), true);
        report.lines.iter().for_each(|line| println!("{line}"));
        assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        return;
    }
    let (first, count) = (variable("TDS_SIM_FIRST").unwrap_or(0), variable("TDS_SIM_DRIFT_SEEDS"));
    let (began, count) = (Instant::now(), count.unwrap_or(DRIFT_SEEDS));
    let sum = run_seeds(first, count, |seed| drifting(seed, None));
    println!("{} seeds in {:.1?}", sum.seeds, began.elapsed());
    sum.counts.iter().for_each(|(name, number)| println!("{number:>9} {name}"));
    if let Some((seed, report)) = sum.violated {
        panic!(
            "seed {seed} violates an invariant: {:#?}\nits trace: TDS_SIM_DRIFT_SEED={seed} cargo test -p tests \
             --test simulation comparisons -- --nocapture",
            report.violations
        );
    }
}

#[test]
fn every_planted_bug_of_comparisons_is_found() {
    for bug in Bug::OF_COMPARISONS {
        let sum = run_seeds(0, WITHIN, |seed| drifting(seed, Some(bug)));
        let (seed, report) =
            sum.violated.unwrap_or_else(|| panic!("{bug:?} is not found within {WITHIN} seeds"));
        let without = simulate(drifting(seed, None), false).violations;
        assert!(without.is_empty(), "seed {seed} fails without {bug:?} too: {without:?}");
        println!("{bug:?}: found by seed {seed} after {} seeds: {}", sum.seeds, report.violations[0]);
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
        // The unchanged engine must pass the seed that finds the bug; otherwise the finding has another cause.
        let sum = run_seeds(0, WITHIN, |seed| Plan::of(seed, Some(bug)));
        match sum.violated {
            Some((seed, report)) => {
                let without = simulate(Plan::of(seed, None), false).violations;
                assert!(without.is_empty(), "seed {seed} fails without {bug:?} too: {without:?}");
                println!("{bug:?}: found by seed {seed} after {} seeds: {}", sum.seeds, report.violations[0]);
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found within {WITHIN} seeds: {missed:?}");
}
