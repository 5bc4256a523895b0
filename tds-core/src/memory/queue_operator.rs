//! The operators' side of the queue.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore,
    state::{Event, Item, RunState, State},
    view::{below, count, page},
};
use crate::{
    error::Result,
    history::Happening,
    inbox::EventStatus,
    queue::{
        Deferred, Delays, Direction, HeldUp, ItemFilter, ItemId, ItemStatus, ItemView, Lane, NeedsAttention,
        Outcome, Page, QueueMotion, QueueOperator, QueueStats,
    },
    record::EntityType,
    runs::{RunStatus, RunType},
};

/// Work that ended within this time shows that a worker is active.
const LATELY: Duration = Duration::from_secs(120);

#[async_trait]
impl QueueOperator for MemoryStore {
    async fn list(&self, filter: &ItemFilter, limit: usize, cursor: Option<&str>) -> Result<Page<ItemView>> {
        let (below, state) = (ItemId(below(cursor)?), self.state());
        let now = state.now.0;
        let newest_first = state.items.range(..below).rev().filter(|(_, item)| item.matches(filter, now));
        Ok(page(newest_first.map(|(id, item)| (id.0, item.view())), limit))
    }

    async fn get(&self, id: ItemId) -> Result<Option<ItemView>> {
        Ok(self.state().items.get(&id).map(|item| item.whole_view()))
    }

    async fn retry(&self, filter: &ItemFilter) -> Result<u64> {
        Ok(self.change(|state| {
            let ids = state.select(filter, &ItemStatus::RETRYABLE);
            let mut keys = HashSet::new();
            // The newest item of each record comes first, so that the older ones are folded into it.
            let (newest, older): (Vec<ItemId>, Vec<ItemId>) = ids
                .iter()
                .rev()
                .partition(|id| state.items.get(*id).is_some_and(|item| keys.insert(item.key.clone())));
            for id in newest.iter().chain(older.iter().rev()) {
                state.note_item(*id, Happening::Retry);
                state.revive(*id);
            }
            ids.len() as u64
        }))
    }

    async fn discard(&self, filter: &ItemFilter) -> Result<u64> {
        let mut state = self.state();
        let ids = state.select(filter, &ItemStatus::DISCARDABLE);
        for id in &ids {
            state.note_item(*id, Happening::Discard);
            state.archive(*id, Outcome::Discarded, None);
            let key = state.items.get(id).map(|item| item.key.clone());
            if let Some(key) = key.filter(|key| key.direction == Direction::Outbound) {
                state.discard_push(&key);
            }
        }
        Ok(ids.len() as u64)
    }

    async fn stats(&self) -> Result<QueueStats> {
        Ok(self.state().stats())
    }

    async fn motion(&self) -> Result<QueueMotion> {
        Ok(self.state().motion())
    }

    async fn set_paused(&self, entity: &EntityType, paused: bool) -> Result<()> {
        self.change(|state| {
            if paused {
                state.paused.entry(entity.clone()).or_insert(state.now.0);
            } else {
                state.paused.remove(entity);
            }
        });
        Ok(())
    }

    async fn paused(&self) -> Result<BTreeMap<EntityType, OffsetDateTime>> {
        Ok(self.state().paused.clone())
    }
}

impl State {
    fn select(&self, filter: &ItemFilter, among: &[ItemStatus]) -> Vec<ItemId> {
        let wanted = self.items.values().filter(|item| among.contains(&item.status));
        wanted.filter(|item| item.matches(filter, self.now.0)).map(|item| item.id).collect()
    }

    fn stats(&self) -> QueueStats {
        let mut stats = QueueStats::default();
        let day_ago = self.now.0 - time::Duration::DAY;
        let mut delays: BTreeMap<&EntityType, Vec<f64>> = BTreeMap::new();
        for item in self.items.values() {
            stats.queue.add(item.status, 1);
            stats.by_entity.entry(item.key.entity.clone()).or_default().add(item.status, 1);
            if item.status == ItemStatus::Completed
                && let Some(ended_at) = item.ended_at.filter(|ended_at| *ended_at > day_ago)
            {
                let delay = (ended_at - item.queued_at).as_seconds_f64();
                delays.entry(&item.key.entity).or_default().push(delay);
            }
        }
        for entity in stats.by_entity.keys() {
            let known = delays.get(entity).cloned().unwrap_or_default();
            stats.delays.insert(entity.clone(), of_delays(known, self.oldest_waiting(Some(entity))));
        }
        stats.overall = of_delays(delays.into_values().flatten().collect(), self.oldest_waiting(None));
        stats.deferred = self.deferred();
        // An event whose item became a dead letter is also `failed`, but has items.
        let is_unparsed = |event: &&Event| event.row.status == EventStatus::Failed && event.items.is_empty();
        stats.needs_attention = NeedsAttention {
            dead_letters: stats.queue.dead_letter,
            unparsed_events: count(self.events.values().filter(is_unparsed).count()),
            held_deletions: self.held_deletions(),
            conflicts: self.open_conflicts(),
            drift: 0,
        };
        stats
    }

    /// Returns the items that wait. An item that a process had claimed when it died waits as well, from the end of
    /// its lease on.
    fn waiting(&self) -> impl Iterator<Item = &Item> {
        self.items.values().filter(move |item| match item.status {
            ItemStatus::Pending | ItemStatus::Failed => true,
            ItemStatus::Processing => item.claim.as_ref().is_some_and(|claim| claim.expires_at <= self.now.0),
            _ => false,
        })
    }

    fn oldest_waiting(&self, entity: Option<&EntityType>) -> Option<f64> {
        let waiting = self.waiting().filter(|item| entity.is_none_or(|entity| item.key.entity == *entity));
        waiting.map(|item| (self.now.0 - item.queued_at).as_seconds_f64().max(0.0)).max_by(f64::total_cmp)
    }

    /// Returns the items that wait for a later time or for an operator. The reason is that of the largest group of
    /// items that wait for the same thing. Digits in the error texts are ignored when items are grouped.
    fn deferred(&self) -> Deferred {
        let (now, mut all, mut until) = (self.now.0, 0, None);
        let mut groups: BTreeMap<(Option<&EntityType>, String), (i64, &str)> = BTreeMap::new();
        for item in self.waiting() {
            let paused = self.paused.contains_key(&item.key.entity).then_some(&item.key.entity);
            if paused.is_none() && item.run_at <= now {
                continue;
            }
            all += 1;
            until = until.max(Some(item.run_at).filter(|run_at| *run_at > now));
            let text = item.error.as_deref().filter(|_| paused.is_none()).unwrap_or_default();
            let alike = text.chars().filter(|letter| !letter.is_ascii_digit()).collect();
            let (size, shown) = groups.entry((paused, alike)).or_insert((0, text));
            *size += 1;
            *shown = (*shown).min(text);
        }
        let largest = groups.iter().min_by_key(|((paused, alike), (size, _))| {
            (-size, paused.map_or("", EntityType::as_str), alike.as_str())
        });
        let reason = largest.map(|((paused, _), (_, text))| Deferred::reason_of(*paused, Some(text)));
        Deferred { count: all, until, reason }
    }

    fn motion(&self) -> QueueMotion {
        let (now, mut motion) = (self.now.0, QueueMotion::default());
        let mut held_up: Option<&Item> = None;
        for item in self.waiting() {
            if self.paused.contains_key(&item.key.entity) {
                *motion.paused.entry(item.key.entity.clone()).or_default() += 1;
            } else if item.run_at <= now {
                let since =
                    item.claim.as_ref().map_or(item.run_at, |claim| claim.expires_at.max(item.run_at));
                motion.overdue = motion.overdue.max(Some(span(now - since)));
            } else if item.lane <= Lane::Webhook
                && item.status == ItemStatus::Pending
                && item.error.is_some()
                && held_up.is_none_or(|other| (item.queued_at, item.id) < (other.queued_at, other.id))
            {
                held_up = Some(item);
            }
        }
        motion.held_up = held_up.map(|item| HeldUp {
            age: span(now - item.queued_at),
            reason: item.error.clone().unwrap_or_default(),
            until: item.run_at,
        });
        let lately = super::earlier(now, LATELY);
        motion.is_worked_on = self.items.values().any(|item| {
            item.claim.as_ref().is_some_and(|claim| claim.expires_at > now)
                || item.status == ItemStatus::Completed && item.ended_at.is_some_and(|ended| ended > lately)
        });
        motion
    }

    /// Returns the number of held deletions of the newest full run of each entity type that ended with a complete
    /// list. A later list replaces the decision of an earlier one.
    fn held_deletions(&self) -> i64 {
        let mut newest: BTreeMap<&EntityType, i64> = BTreeMap::new();
        for RunState { row, held, .. } in self.runs.values() {
            let ended = matches!(row.status, RunStatus::Completed | RunStatus::CompletedWithErrors);
            if ended && row.run_type == RunType::Full {
                newest.insert(&row.entity_type, count(held.len()));
            }
        }
        newest.into_values().sum()
    }
}

fn span(time: time::Duration) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

fn of_delays(mut delays: Vec<f64>, oldest: Option<f64>) -> Delays {
    delays.sort_by(f64::total_cmp);
    Delays { avg: mean(&delays), p50: percentile(&delays, 50), p99: percentile(&delays, 99), oldest }
}

#[expect(clippy::cast_precision_loss, reason = "a mean of seconds needs no more than a float has")]
fn mean(sorted: &[f64]) -> Option<f64> {
    (!sorted.is_empty()).then(|| sorted.iter().sum::<f64>() / count(sorted.len()) as f64)
}

/// Returns the smallest value that at least this percentage of the values does not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}
