//! The tally: what the worker of a process did since the process started, for monitors.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    lock::lock,
    queue::{AttemptResult, Claimed, Settle, Settlement},
    record::EntityType,
};

/// Items of one entity type that were handled in one batch, with the same result.
#[derive(Clone, Copy, Debug)]
pub struct HandledItems<'a> {
    /// The entity type of the items.
    pub entity: &'a EntityType,
    /// The result of each of the items.
    pub result: AttemptResult,
    /// The number of the items.
    pub count: usize,
    /// The time that the handler took for the batch. Waits for a free worker are not part of it.
    pub elapsed: Duration,
}

/// A function that gets the items that were handled. It must not block.
pub type WorkWatch = Arc<dyn Fn(HandledItems<'_>) + Send + Sync>;

/// Counts of what the worker of this process did. The counts begin at zero when the process starts, and never fall.
#[derive(Default)]
pub struct WorkTally {
    results: [AtomicU64; AttemptResult::ALL.len()],
    dead_letters: Mutex<BTreeMap<EntityType, u64>>,
    rescued: AtomicU64,
    fenced: AtomicU64,
    watch: OnceLock<WorkWatch>,
}

impl WorkTally {
    /// Sets the function that gets the items of each batch when the handler returns. Only the first function is kept.
    pub fn watch(&self, watch: WorkWatch) {
        if self.watch.set(watch).is_err() {
            tracing::debug!("the work of this process is already watched");
        }
    }

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

    /// Reports a batch of one entity type that a handler has handled.
    pub(super) fn handled(&self, entity: &EntityType, settlements: &[Settlement], elapsed: Duration) {
        let Some(watch) = self.watch.get() else { return };
        for result in AttemptResult::ALL {
            let count = settlements.iter().filter(|it| result_of(&it.settle) == result).count();
            if count > 0 {
                watch(HandledItems { entity, result, count, elapsed });
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

impl fmt::Debug for WorkTally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let results: BTreeMap<&str, u64> =
            self.results().map(|(result, count)| (result.as_str(), count)).collect();
        formatter.debug_struct("WorkTally").field("results", &results).finish_non_exhaustive()
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

    #[test]
    fn a_watch_gets_each_result_of_a_batch_once_with_the_number_of_its_items() {
        let (tally, products) = (WorkTally::default(), EntityType::from_static("products"));
        let batch = [
            ended(Settle::Complete(Outcome::Applied)),
            ended(Settle::DeadLetter { error: "no".to_owned() }),
            ended(Settle::Complete(Outcome::Stale)),
        ];
        tally.handled(&products, &batch, Duration::from_secs(1));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&seen);
        tally.watch(Arc::new(move |items| {
            let HandledItems { entity, result, count, elapsed } = items;
            lock(&sink).push(format!("{entity} {} {count} {elapsed:?}", result.as_str()));
        }));
        tally.watch(Arc::new(|_| panic!("only the first function is kept")));
        tally.handled(&products, &batch, Duration::from_secs(2));
        assert_eq!(*lock(&seen), ["products completed 2 2s", "products dead_letter 1 2s"]);
    }
}
