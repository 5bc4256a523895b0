//! The status of the account that this process received last.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::budget::{BudgetStatus, Place};

/// The time for which a status is kept. It is longer than the longest wait of a read, after which the budget is
/// asked again.
const FRESH: Duration = Duration::from_secs(900);

/// The last status received, and when.
#[derive(Default)]
pub(super) struct Remembered(Option<(BudgetStatus, Instant)>);

impl Remembered {
    pub(super) fn remember(&mut self, status: &BudgetStatus, now: Instant) {
        self.0 = Some((status.clone(), now));
    }

    /// Returns the status, if it was received at most `age` ago, and its age.
    pub(super) fn recent(&self, now: Instant, age: Duration) -> Option<(&BudgetStatus, Duration)> {
        let (status, at) = self.0.as_ref()?;
        let passed = now.saturating_duration_since(*at);
        (passed <= age).then_some((status, passed))
    }

    /// Returns true if faults of the place are known. This does not ask the budget.
    pub(super) fn knows_faults(&self, place: &Place) -> bool {
        let faults =
            |(status, _): &(BudgetStatus, Instant)| status.breakers.iter().any(|one| one.concerns(place));
        self.0.as_ref().is_some_and(faults)
    }

    /// Forgets a series of faults that has ended.
    pub(super) fn forget_faults(&mut self, place: &Place) {
        if let Some((status, _)) = &mut self.0 {
            status.breakers.retain(|one| one.is_open() || !one.concerns(place));
        }
    }

    /// Returns the status, if it was received recently.
    pub(super) fn recall(&self, now: Instant) -> Option<&BudgetStatus> {
        self.recent(now, FRESH).map(|(status, _)| status)
    }
}
