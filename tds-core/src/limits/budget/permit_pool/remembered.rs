//! How the account stood when this process last heard of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::budget::{BudgetStatus, Place};

/// Remembered for this long: longer than reads wait at most, after which one asks again.
const FRESH: Duration = Duration::from_secs(900);

/// What was last heard.
#[derive(Default)]
pub(super) struct Remembered(Option<(BudgetStatus, Instant)>);

impl Remembered {
    pub(super) fn remember(&mut self, status: &BudgetStatus, now: Instant) {
        self.0 = Some((status.clone(), now));
    }

    /// What was heard at most `age` ago.
    pub(super) fn recent(&self, now: Instant, age: Duration) -> Option<(&BudgetStatus, Duration)> {
        let (status, at) = self.0.as_ref()?;
        let passed = now.saturating_duration_since(*at);
        (passed <= age).then_some((status, passed))
    }

    /// Faults were seen at the place; nobody is asked.
    pub(super) fn knows_faults(&self, place: &Place) -> bool {
        let faults =
            |(status, _): &(BudgetStatus, Instant)| status.breakers.iter().any(|one| one.concerns(place));
        self.0.as_ref().is_some_and(faults)
    }

    /// A row of faults has ended.
    pub(super) fn forget_faults(&mut self, place: &Place) {
        if let Some((status, _)) = &mut self.0 {
            status.breakers.retain(|one| one.is_open() || !one.concerns(place));
        }
    }

    pub(super) fn recall(&self, now: Instant) -> Option<BudgetStatus> {
        let fresh = |at: Instant| now.saturating_duration_since(at) < FRESH;
        self.0.as_ref().filter(|(_, at)| fresh(*at)).map(|(status, _)| status.clone())
    }
}
