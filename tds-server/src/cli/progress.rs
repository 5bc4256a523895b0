//! The progress of runs: bars on a terminal, plain lines elsewhere.

use std::{io::IsTerminal, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tds_core::runs::{Run, RunId};
use tokio::time::Instant;

use super::output;

/// The shortest time between two plain lines of a run.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The display of several runs, with one line or bar per run.
pub(crate) enum Progress {
    Bars(Vec<ProgressBar>),
    Lines(Vec<Line>),
}

/// The last line that was printed for a run.
pub(crate) struct Line {
    run: RunId,
    at: Option<Instant>,
    text: String,
}

impl Progress {
    /// Starts with these runs. Later calls of [`Progress::show`] must pass the same runs in the same order.
    pub(crate) fn new(runs: &[Run]) -> Self {
        if !std::io::stderr().is_terminal() {
            let line = |run: &Run| Line { run: run.id, at: None, text: String::new() };
            return Self::Lines(runs.iter().map(line).collect());
        }
        let bars = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>13} {bar:30} {pos:>3} % {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |run: &Run| {
            let bar = bars.add(ProgressBar::new(100).with_style(style.clone()));
            bar.with_prefix(run.entity_type.to_string())
        };
        let each = runs.iter().map(bar).collect();
        Self::Bars(each)
    }

    /// Shows the progress of the runs.
    pub(crate) fn show(&mut self, runs: &[Run]) {
        match self {
            Self::Bars(bars) => {
                for (bar, run) in bars.iter().zip(runs) {
                    bar.set_position(percent(run));
                    bar.set_message(counts(run));
                }
            }
            Self::Lines(lines) => {
                for (line, run) in lines.iter_mut().zip(runs) {
                    line.show(run);
                }
            }
        }
    }

    /// Leaves the last state on the screen.
    pub(crate) fn finish(&self) {
        if let Self::Bars(bars) = self {
            bars.iter().for_each(ProgressBar::abandon);
        }
    }
}

impl Line {
    fn show(&mut self, run: &Run) {
        let text = format!("{} run {}: {} % {}", run.entity_type, self.run, percent(run), counts(run));
        let soon = self.at.is_some_and(|at| at.elapsed() < LINE_EVERY);
        if text == self.text || (soon && run.status.is_active()) {
            return;
        }
        output::talk(&text);
        (self.at, self.text) = (Some(Instant::now()), text);
    }
}

/// Returns the progress in whole per cent, rounded down, so that 100 appears only when all work is done.
fn percent(run: &Run) -> u64 {
    let percent = run.progress_percent().clamp(0.0, 100.0);
    (0..=100_u32).rev().find(|&whole| f64::from(whole) <= percent).map_or(0, u64::from)
}

fn counts(run: &Run) -> String {
    format!(
        "{}: {} of {}, {} failed",
        run.status.as_str(),
        run.processed_items,
        run.total_items,
        run.failed_items
    )
}
