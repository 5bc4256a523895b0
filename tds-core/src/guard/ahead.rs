//! Times that lie ahead of the clock. A clock was ahead when such a time was noted, and it was set back later.

use time::{Duration, OffsetDateTime};

use super::SyncState;
use crate::record::{Interval, Observed};

/// The largest difference between the clocks of machines whose clocks are kept in step.
pub(crate) const TOLERANCE: Duration = Duration::seconds(10);

/// Returns true for a time that a correct clock cannot have noted yet.
pub(crate) fn is_ahead(moment: OffsetDateTime, now: OffsetDateTime) -> bool {
    moment > now + TOLERANCE
}

impl SyncState {
    /// Returns the state as far as it can be believed at `now`; `None` if all of it can be believed.
    ///
    /// An observation that lies ahead of `now` was made by a clock that was ahead. It was made at some time before
    /// `now`, and that time is not known. The observation is therefore neither later nor earlier than any read that
    /// began before `now`, and [`super::guard`] asks the source once more. The time at which the volatile columns were
    /// seen is forgotten, and the time at which the whole record was seen is set to `now`. Otherwise no read would be
    /// applied until the clock has reached those times.
    #[must_use]
    pub fn as_of(&self, now: OffsetDateTime) -> Option<Self> {
        let ahead = |moment: Option<OffsetDateTime>| moment.is_some_and(|moment| is_ahead(moment, now));
        let mut believed = self.clone();
        if is_ahead(self.observed.interval().ended, now) {
            believed.observed = match self.observed {
                Observed::Push(_) => Observed::Push(now),
                Observed::Call(_) => {
                    Observed::Call(Interval { began: OffsetDateTime::UNIX_EPOCH, ended: now })
                }
            };
        }
        if ahead(self.detail_seen) {
            believed.detail_seen = Some(now);
        }
        if ahead(self.volatile_seen) {
            believed.volatile_seen = None;
        }
        if let Some(suspect) = &mut believed.suspect
            && ahead(suspect.ended)
        {
            suspect.ended = None;
        }
        (believed != *self).then_some(believed)
    }

    /// Returns the state as a store keeps it at `now`. No observation in it is later than `now` by more than the
    /// tolerance, so that a clock that is ahead does not hold later reads back.
    #[must_use]
    pub fn noted_at(mut self, now: OffsetDateTime) -> Self {
        let bounded = |moment: OffsetDateTime| moment.min(now + TOLERANCE);
        self.observed = match self.observed {
            Observed::Push(at) => Observed::Push(bounded(at)),
            Observed::Call(seen) => {
                Observed::Call(Interval { began: bounded(seen.began), ended: bounded(seen.ended) })
            }
        };
        self.detail_seen = self.detail_seen.map(bounded);
        self.volatile_seen = self.volatile_seen.map(bounded);
        self
    }
}

/// Logs that times lie ahead of the clock, once per process: all records that were read in the meantime are affected.
pub fn report_ahead(records: usize) {
    use std::sync::atomic::{AtomicBool, Ordering};
    static LOGGED: AtomicBool = AtomicBool::new(false);
    if records > 0 && !LOGGED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            records,
            "the observation times of some records are in the future: a clock was ahead and was set back, or the \
             clock of this machine is behind the clock of the database. The records are treated as observed now. \
             Keep the clocks synchronized (NTP). Further records are not reported"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::{
        guard::{RereadReason, Verdict, guard},
        record::{EntityType, Read, RecordBuilder},
    };

    const PRODUCTS: EntityType = EntityType::from_static("products");
    const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

    fn read(value: i64, stock: i64, began: OffsetDateTime) -> Read {
        RecordBuilder::new(&PRODUCTS, "1")
            .version(datetime!(2026-11-01 00:00 UTC))
            .fields(json!({"v": value}))
            .volatile(json!({"stock": stock}))
            .read(began, began + Duration::SECOND)
    }

    /// Returns the state that was noted by a clock that was this far ahead.
    fn noted_ahead(ahead: Duration) -> SyncState {
        let first = read(1, 1, NOW + ahead - Duration::minutes(1));
        SyncState::after(None, &first, guard(None, &first)).expect("a state")
    }

    #[test]
    fn an_observation_in_the_past_stays_as_it_is() {
        assert_eq!(noted_ahead(Duration::ZERO).as_of(NOW), None);
    }

    #[test]
    fn volatile_values_are_applied_although_a_clock_was_ahead() {
        let state = noted_ahead(Duration::hours(3));
        let later = read(1, 2, NOW - Duration::SECOND);
        assert_eq!(guard(Some(&state), &later), Verdict::Unchanged, "uncorrected, the change is lost");
        let believed = state.as_of(NOW).expect("brought back");
        assert_eq!(guard(Some(&believed), &later), Verdict::Apply { stable: false, volatile: true });
    }

    #[test]
    fn a_tie_with_a_time_of_a_clock_that_was_ahead_is_read_again_and_then_decided() {
        let believed = noted_ahead(Duration::hours(3)).as_of(NOW).expect("brought back");
        let other = read(2, 1, NOW - Duration::SECOND * 2);
        assert_eq!(guard(Some(&believed), &other), Verdict::Reread(RereadReason::Tie));
        let again = read(2, 1, NOW + Duration::SECOND);
        assert_eq!(guard(Some(&believed), &again), Verdict::Apply { stable: true, volatile: true });
    }

    proptest! {
        #[test]
        fn no_observation_remains_in_the_future(ahead in -10_000_i64..10_000) {
            let state = noted_ahead(Duration::seconds(ahead));
            let believed = state.as_of(NOW).unwrap_or(state);
            prop_assert!(!is_ahead(believed.observed.interval().ended, NOW));
            prop_assert!(believed.detail_seen.is_none_or(|seen| !is_ahead(seen, NOW)));
            prop_assert!(believed.volatile_seen.is_none_or(|seen| !is_ahead(seen, NOW)));
            prop_assert_eq!(believed.as_of(NOW), None, "once is enough");
        }
    }
}
