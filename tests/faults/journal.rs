//! The journal of the actions and of the faults that were found.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::{Mutex, MutexGuard},
};

use tds_core::lock::lock;
use tokio::time::Instant;

/// The number of last actions that a report shows.
const SHOWN: usize = 50;
/// The number of examples that a report shows of each rule.
const EXAMPLES: usize = 5;

/// A violation of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The rule that is violated.
    pub(crate) rule: &'static str,
    /// The evidence: rows, answers, numbers.
    pub(crate) evidence: String,
}

impl Fault {
    pub(crate) fn new(rule: &'static str, evidence: impl Into<String>) -> Self {
        Self { rule, evidence: evidence.into() }
    }
}

/// The journal that all parts of the monkey share.
pub(crate) struct Journal {
    began: Instant,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    actions: VecDeque<String>,
    counts: BTreeMap<String, u64>,
    faults: Vec<Fault>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), pages: Mutex::default() }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        lock(&self.pages)
    }

    /// Returns the milliseconds since the test began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes an action: its kind and its subject.
    pub(crate) fn did(&self, kind: &str, about: impl AsRef<str>) {
        let at = self.now();
        let mut pages = self.pages();
        *pages.counts.entry(kind.to_owned()).or_default() += 1;
        if pages.actions.len() == SHOWN {
            pages.actions.pop_front();
        }
        pages.actions.push_back(format!("{:>4}.{:03} s  {kind} {}", at / 1000, at % 1000, about.as_ref()));
    }

    /// Counts an action without a line in the journal.
    pub(crate) fn count(&self, kind: &str) {
        *self.pages().counts.entry(kind.to_owned()).or_default() += 1;
    }

    /// Notes a fault that is found while the monkey is still at work.
    pub(crate) fn wrong(&self, rule: &'static str, evidence: impl Into<String>) {
        let at = self.now();
        let evidence = format!("at {}.{:03} s: {}", at / 1000, at % 1000, evidence.into());
        self.pages().faults.push(Fault::new(rule, evidence));
    }

    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.pages().faults.clone()
    }

    /// Returns how often each kind of action was taken.
    pub(crate) fn counts(&self) -> String {
        let pages = self.pages();
        let counts: Vec<String> =
            pages.counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        counts.join(", ")
    }

    /// Returns the last actions, one per line.
    pub(crate) fn last(&self) -> String {
        self.pages().actions.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}

/// Returns the faults grouped by rule, with some examples of each rule.
pub(crate) fn report(faults: &[Fault]) -> String {
    let mut by_rule: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for fault in faults {
        by_rule.entry(fault.rule).or_default().push(&fault.evidence);
    }
    let mut text = String::new();
    for (rule, evidence) in by_rule {
        let _ = writeln!(text, "{rule}: {} times", evidence.len());
        for example in evidence.iter().take(EXAMPLES) {
            let _ = writeln!(text, "    {example}");
        }
    }
    text
}

/// Returns the violated rules in order, each of them once.
pub(crate) fn rules(faults: &[Fault]) -> Vec<&'static str> {
    let mut rules: Vec<&str> = faults.iter().map(|fault| fault.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}
