//! The tests: many seeds at once, the replay of one seed, and the planted bugs.
#![expect(clippy::print_stdout, reason = "the figures are what a person looks for in the output")]

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{bugs::Bug, simulate};
use crate::world::Report;

/// The number of seeds if `TDS_SIM_SEEDS` is not set.
const SEEDS: u64 = 10_000;
const QUARTERS: u64 = 4;
/// A planted bug must be found within this number of seeds.
const WITHIN: u64 = 500;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds until one of them violates an invariant. Returns its number and report.
fn run_seeds(
    first: u64,
    count: u64,
    bug: Option<Bug>,
    counts: &mut BTreeMap<&'static str, u64>,
) -> Option<(u64, Report)> {
    for seed in first..first + count {
        let report = simulate(seed, bug, false);
        for (name, number) in &report.counts {
            *counts.entry(name).or_default() += number;
        }
        if !report.violations.is_empty() {
            return Some((seed, report));
        }
    }
    None
}

fn quarter(number: u64) {
    if let Some(seed) = variable("TDS_SIM_BOTH") {
        if seed % QUARTERS == number {
            let report = simulate(seed, None, true);
            report.lines.iter().for_each(|line| println!("{line}"));
            assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
        }
        return;
    }
    let (first, all) = (variable("TDS_SIM_FIRST").unwrap_or(0), variable("TDS_SIM_SEEDS").unwrap_or(SEEDS));
    let count = all.div_ceil(QUARTERS);
    let (began, mut counts) = (Instant::now(), BTreeMap::new());
    let violated = run_seeds(first + number * count, count, None, &mut counts);
    println!("{} seeds in {:.1?}", counts.get("simulations").copied().unwrap_or_default(), began.elapsed());
    counts.iter().for_each(|(name, number)| println!("{number:>9} {name}"));
    if let Some((seed, report)) = violated {
        panic!(
            "seed {seed} violates an invariant: {:#?}\n\
             its trace: TDS_SIM_BOTH={seed} cargo test -p tests --test simulation both -- --nocapture",
            report.violations,
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

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        let [first, second] = [(); 2].map(|()| simulate(seed, None, false));
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match run_seeds(0, WITHIN, Some(bug), &mut BTreeMap::new()) {
            Some((seed, report)) => {
                // The unchanged engine must pass the seed that finds the bug; otherwise the finding has another cause.
                let without = simulate(seed, None, false).violations;
                assert!(without.is_empty(), "seed {seed} fails without {bug:?} too: {without:?}");
                println!("{bug:?}: found by seed {seed}: {}", report.violations[0]);
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found within {WITHIN} seeds: {missed:?}");
}
