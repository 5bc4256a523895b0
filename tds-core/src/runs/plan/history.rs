//! Estimates for the next run, from the runs before it.

use time::{Duration, OffsetDateTime};

use crate::runs::{Run, RunType};

/// The share of records that is assumed to change in a day, where nothing is known about the changes.
const CHANGED_A_DAY: f64 = 0.05;

/// How fast records change, and how often runs look for changes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct History {
    /// The number of changed records per second.
    rate: Option<f64>,
    /// The time from the beginning of one run to the beginning of the next.
    pub(crate) interval: Option<Duration>,
    /// The number of changed records that the last full run found.
    pub(crate) last_full_changes: Option<u64>,
}

impl History {
    /// Computes the estimates from runs that completed without an error, newest first.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn of(runs: &[Run]) -> Self {
        let changed = |run: &Run| u64::try_from(run.total_items - run.unchanged_items).unwrap_or(0);
        let last_full = runs.iter().find(|run| run.run_type == RunType::Full && run.is_whole());
        let changes: Vec<&Run> =
            runs.iter().filter(|run| run.run_type == RunType::Incremental && run.is_whole()).collect();
        let mut history = Self { last_full_changes: last_full.map(changed), ..Self::default() };
        let [newer @ .., oldest] = &changes[..] else { return history };
        let span = newer.first().map_or(Duration::ZERO, |newest| newest.created_at - oldest.created_at);
        if span >= Duration::SECOND {
            // The window of the oldest run begins before the run was created. Only the changes of the other runs fall
            // into the span.
            let sum: u64 = newer.iter().copied().map(changed).sum();
            history.rate = Some(sum as f64 / span.as_seconds_f64());
            history.interval = i32::try_from(newer.len()).ok().map(|count| span / count);
        }
        history
    }

    /// Returns the number of changed records per second, where runs show it.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Returns the same history with another number of changed records per second, and runs at this interval.
    pub(crate) fn with_changes(&self, rate: f64, every: std::time::Duration) -> Self {
        let interval = Duration::try_from(every).ok().or(self.interval);
        Self { rate: Some(rate), interval, ..*self }
    }

    /// Returns the expected number of records that change within a window of this length. `records` is the number of
    /// all records.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    pub(crate) fn changes(&self, window: Duration, records: Option<u64>) -> Option<u64> {
        let by_default = || Some(records? as f64 * CHANGED_A_DAY / 86_400.0);
        let changed = (self.rate.or_else(by_default)? * window.as_seconds_f64().max(0.0)).ceil() as u64;
        Some(records.map_or(changed, |records| changed.min(records)))
    }
}

/// Returns the length of a window that ends now.
pub(crate) fn window(from: OffsetDateTime, now: OffsetDateTime) -> Duration {
    (now - from).max(Duration::ZERO)
}
