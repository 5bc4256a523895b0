//! The tally: what the worker of a process did since the process started, for monitors.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    lock::lock,
    queue::{AttemptResult, Claimed, Settle, Settlement},
    record::EntityType,
};

/// Counts of what the worker of this process did. The counts begin at zero when the process starts, and never fall.
#[derive(Debug, Default)]
pub struct WorkTally {
    results: [AtomicU64; AttemptResult::ALL.len()],
    dead_letters: Mutex<BTreeMap<EntityType, u64>>,
    rescued: AtomicU64,
    fenced: AtomicU64,
}

impl WorkTally {
    /// Returns how many claims ended with each result. A claim that was lost counts as `LeaseLost`.
    pub fn results(&self) -> impl Iterator<Item = (AttemptResult, u64)> + '_ {
        AttemptResult::ALL.into_iter().zip(self.results.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the number of items that became dead letters, by entity type. Entity types without dead letters are
    /// absent.
    #[must_use]
    pub fn dead_letters(&self) -> BTreeMap<EntityType, u64> {
        lock(&self.dead_letters).clone()
    }

    /// Returns the number of claims of items whose earlier claim ended without a result, because its process died or
    /// did not renew its lease.
    #[must_use]
    pub fn rescued(&self) -> u64 {
        self.rescued.load(Ordering::Relaxed)
    }

    /// Returns the number of results that had no effect, because their claim was lost.
    #[must_use]
    pub fn fenced(&self) -> u64 {
        self.fenced.load(Ordering::Relaxed)
    }

    pub(super) fn claimed(&self, items: &[Claimed]) {
        let rescued = items.iter().filter(|item| item.lost_leases > 0).count();
        self.rescued.fetch_add(wide(rescued), Ordering::Relaxed);
    }

    /// Counts the results of claims of one entity type.
    pub(super) fn ended(&self, entity: &EntityType, settlements: &[Settlement]) {
        for settlement in settlements {
            let result = result_of(&settlement.settle);
            self.add(result, 1);
            if result == AttemptResult::DeadLetter {
                *lock(&self.dead_letters).entry(entity.clone()).or_default() += 1;
            }
        }
    }

    /// Counts claims that were lost while their items were handled.
    pub(super) fn lost(&self, claims: usize) {
        self.add(AttemptResult::LeaseLost, wide(claims));
    }

    /// Counts results that the queue did not take, because their claim was lost.
    pub(super) fn refused(&self, results: u64) {
        self.fenced.fetch_add(results, Ordering::Relaxed);
    }

    fn add(&self, result: AttemptResult, count: u64) {
        let counts = AttemptResult::ALL.iter().zip(&self.results);
        for (_, counter) in counts.filter(|(each, _)| **each == result) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }
}

fn result_of(settle: &Settle) -> AttemptResult {
    match settle {
        Settle::Complete(_) | Settle::Redirect { .. } => AttemptResult::Completed,
        Settle::Retry { .. } => AttemptResult::Retry,
        Settle::Release { .. } => AttemptResult::Released,
        Settle::DeadLetter { .. } => AttemptResult::DeadLetter,
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::queue::{ItemId, Lease, LeaseToken, Outcome};

    fn ended(settle: Settle) -> Settlement {
        let lease = Lease { id: ItemId(1), token: LeaseToken(1) };
        Settlement { lease, generation: 1, settle }
    }

    #[test]
    fn each_result_is_counted_under_its_name_and_dead_letters_by_entity_type() {
        let (tally, products) = (WorkTally::default(), EntityType::from_static("products"));
        let dead = || ended(Settle::DeadLetter { error: "no".to_owned() });
        let retry = ended(Settle::Retry { after: Duration::ZERO, error: "later".to_owned() });
        tally.ended(&products, &[dead(), dead(), retry, ended(Settle::Complete(Outcome::Applied))]);
        tally.lost(3);
        tally.refused(2);
        let results: Vec<(&str, u64)> =
            tally.results().map(|(result, count)| (result.as_str(), count)).collect();
        let expected =
            [("completed", 1), ("retry", 1), ("released", 0), ("dead_letter", 2), ("lease_lost", 3)];
        assert_eq!(results, expected);
        assert_eq!(tally.dead_letters(), BTreeMap::from([(products, 2)]));
        assert_eq!((tally.fenced(), tally.rescued()), (2, 0));
    }
}
