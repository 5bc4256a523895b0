//! Where claims begin to look.
//!
//! Claimed items leave dead entries at the beginning of the ready index, and a snapshot that somebody holds open keeps
//! them there. While there is a backlog, a claim begins where the one before ended. That is a hint: claims look at
//! everything every two seconds, and as soon as one finds less than it asked for.

use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::time::{Duration, Instant};

use tds_core::queue::Lane;

/// What lies behind a cursor (late commits, retries, lost leases) waits at most this long.
const LOOK_BACK: Duration = Duration::from_secs(2);

/// The place of an item in the ready index: priority, due time, id.
pub(crate) type ClaimCursor = (i16, OffsetDateTime, i64);

/// The claim cursors of a process, one per lane.
#[derive(Debug, Default)]
pub(crate) struct ClaimCursors(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lanes: [Option<ClaimCursor>; Lane::ALL.len()],
    looked_back: Option<Instant>,
}

/// The lanes of a claim as columns: from which cursor on, and below which priority.
pub(crate) struct Range {
    pub(crate) priorities: Vec<i16>,
    pub(crate) ats: Vec<Option<OffsetDateTime>>,
    pub(crate) ids: Vec<i64>,
    pub(crate) below: Vec<i16>,
}

impl ClaimCursors {
    /// The lanes up to one, most urgent first.
    pub(crate) fn range(&self, up_to: Lane) -> Range {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked_back.is_none_or(|at| at.elapsed() >= LOOK_BACK) {
            *state = State { lanes: Default::default(), looked_back: Some(Instant::now()) };
        }
        let mut range = Range { priorities: Vec::new(), ats: Vec::new(), ids: Vec::new(), below: Vec::new() };
        for (index, lane) in Lane::ALL.into_iter().enumerate().filter(|(_, lane)| *lane <= up_to) {
            let cursor = state.lanes[index];
            range.priorities.push(cursor.map_or(lane.priority(), |cursor| cursor.0));
            range.ats.push(cursor.map(|cursor| cursor.1));
            range.ids.push(cursor.map_or(i64::MIN, |cursor| cursor.2));
            range.below.push(Lane::ALL.get(index + 1).map_or(i16::MAX, |next| next.priority()));
        }
        range
    }

    /// A claim ended there, with as many items as it asked for; `None`: it found everything that is due.
    pub(crate) fn note(&self, last: Option<ClaimCursor>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = last else {
            state.lanes = Default::default();
            return;
        };
        let lane = Lane::from_priority(last.0);
        for (floor, other) in state.lanes.iter_mut().zip(Lane::ALL) {
            if other == lane {
                *floor = Some(last);
            } else if other < lane {
                *floor = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tds_core::queue::Lane;
    use time::macros::datetime;

    use super::{ClaimCursor, ClaimCursors};

    const SPOT: ClaimCursor = (40, datetime!(2026-11-24 12:00 UTC), 7);

    #[tokio::test(start_paused = true)]
    async fn a_floor_holds_for_two_seconds_in_its_lane_only() {
        let cursors = ClaimCursors::default();
        cursors.range(Lane::Verify);
        cursors.note(Some(SPOT));
        let range = cursors.range(Lane::Verify);
        assert_eq!(range.priorities, [0, 10, 20, 30, 40, 50]);
        assert_eq!(range.ids, [i64::MIN, i64::MIN, i64::MIN, i64::MIN, 7, i64::MIN]);
        assert_eq!(range.ats[4], Some(SPOT.1));
        tokio::time::advance(super::LOOK_BACK).await;
        assert_eq!(cursors.range(Lane::Verify).ats, [None; 6]);
    }

    #[tokio::test]
    async fn a_claim_that_found_everything_takes_the_floors_away() {
        let cursors = ClaimCursors::default();
        cursors.range(Lane::Verify);
        cursors.note(Some(SPOT));
        cursors.note(None);
        assert_eq!(cursors.range(Lane::Verify).ats, [None; 6]);
    }

    #[tokio::test]
    async fn lanes_cover_every_priority_once() {
        let range = ClaimCursors::default().range(Lane::Webhook);
        assert_eq!((range.priorities, range.below), (vec![0, 10, 20], vec![10, 20, 30]));
    }
}
