//! The limit of calls in flight, and the share of it that each holder has.

use serde::{Deserialize, Serialize};

use super::BudgetRequest;
use crate::queue::WorkerId;

/// The time, in milliseconds, without a complaint of the source after which one more call may be in flight again.
const RAISE_AFTER: i64 = 60_000;
/// The time, in milliseconds, for which a holder that asked for permits is counted among the holders that share the
/// slots.
const ACTIVE: i64 = 5_000;

/// The slots for calls in flight.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CallSlots {
    holders: Vec<Holder>,
    /// The number of slots that are withdrawn because the source complained.
    lost: u32,
    changed: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    id: WorkerId,
    places: u32,
    /// The time until which calls of the holder may be in flight.
    until: i64,
    /// The time at which the holder last had calls waiting.
    wanted: i64,
}

impl CallSlots {
    /// Forgets holders that can have nothing in flight any more, and raises the limit by one again after a while.
    /// No call can be in flight beyond `latest`; a later time was recorded by a clock that was ahead.
    pub(super) fn advance(&mut self, now: i64, latest: i64) {
        for holder in &mut self.holders {
            holder.until = holder.until.min(latest);
            holder.wanted = holder.wanted.min(now);
        }
        self.changed = self.changed.min(now);
        self.holders.retain(|holder| holder.until > now);
        if self.lost > 0 && now - self.changed >= RAISE_AFTER {
            self.lost -= 1;
            self.changed = now;
        }
    }

    /// Withdraws one slot, because the source complained about concurrent calls.
    pub(super) fn narrow(&mut self, now: i64, concurrent: u32) {
        self.lost = (self.lost + 1).min(concurrent.saturating_sub(1));
        self.changed = now;
    }

    /// Returns how many calls may be in flight at the same time.
    pub(super) fn bound(&self, concurrent: u32) -> u32 {
        concurrent.saturating_sub(self.lost).max(1)
    }

    /// Returns how many calls the holder may have in flight until `until`: its share among the holders that have
    /// calls waiting. One slot is kept free for a new holder if the limit is at least 3.
    pub(super) fn share(&mut self, request: &BudgetRequest, concurrent: u32, now: i64, until: i64) -> u32 {
        let (id, in_flight, wants) = (&request.holder, request.in_flight, request.wants.total() > 0);
        let urgent = request.wants.iter().any(|(lane, calls)| lane.is_urgent() && *calls > 0);
        let bound = self.bound(concurrent);
        let mine = self.holders.extract_if(.., |holder| holder.id == *id).next();
        if !wants && in_flight == 0 {
            return 0;
        }
        let taken: u32 = self.holders.iter().map(|holder| holder.places).sum();
        let others = self.holders.iter().filter(|holder| holder.wanted + ACTIVE > now).count();
        let active = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
        let spare = u32::from(bound >= 3);
        let fair = (bound - spare).div_ceil(active);
        let free = bound.saturating_sub(taken);
        let free = if free > spare { free - spare } else { free.min(1) };
        let mut places = if wants { fair.min(free) } else { 0 }.max(in_flight);
        // An urgent call does not wait for the end of a slow call: it may also use the spare slot.
        if urgent && places == in_flight && taken + places < bound {
            places += 1;
        }
        let wanted = if wants { now } else { mine.map_or(i64::MIN / 2, |mine| mine.wanted) };
        self.holders.push(Holder { id: id.clone(), places, until, wanted });
        places
    }
}
