//! How the account stood when this process last heard of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::Standing;

/// Remembered for this long: longer than reads wait at most, after which one asks again.
const FRESH: Duration = Duration::from_secs(900);

/// What was last heard.
#[derive(Default)]
pub(super) struct Remembered(Option<(Standing, Instant)>);

impl Remembered {
    pub(super) fn hear(&mut self, standing: &Standing, now: Instant) {
        self.0 = Some((standing.clone(), now));
    }

    pub(super) fn recall(&self, now: Instant) -> Option<Standing> {
        let fresh = |at: Instant| now.saturating_duration_since(at) < FRESH;
        self.0.as_ref().filter(|(_, at)| fresh(*at)).map(|(standing, _)| standing.clone())
    }
}
