//! The maintenance of the queue and the inbox.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore, earlier,
    state::{Event, Progress, State},
};
use crate::{
    error::Result,
    inbox::EventStatus,
    queue::{Healed, ItemId, ItemStatus, QueueMaintenance},
};

#[async_trait]
impl QueueMaintenance for MemoryStore {
    async fn prunable(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        let state = self.state();
        let before = earlier(state.now.0, age);
        let items = state.old_items(before, dead_letters).count();
        let events = state.events.values().filter(|event| event.is_old(before, dead_letters)).count();
        Ok((items + events) as u64)
    }

    async fn prune(&self, age: Duration, dead_letters: bool) -> Result<u64> {
        let mut state = self.state();
        let before = earlier(state.now.0, age);
        Ok(state.prune(before, dead_letters))
    }

    async fn blank(&self, age: Duration) -> Result<u64> {
        let mut state = self.state();
        let (now, before) = (state.now.0, earlier(state.now.0, age));
        let mut blanked = state.blank_named(None);
        for event in state.events.values_mut() {
            let is_open = event.items.values().any(|progress| !matches!(progress, Progress::Ended(_)));
            if event.is_old(before, true) && !is_open && !event.raw_payload.is_empty() {
                event.raw_payload.clear();
                event.row.blanked_at = Some(now);
                blanked += 1;
            }
        }
        Ok(blanked)
    }

    async fn heal(&self, _age: Duration, _within: Option<Duration>) -> Result<Healed> {
        // A waiter is stored with the item that it waits for, so a waiter cannot be lost.
        Ok(Healed::default())
    }
}

impl State {
    fn old_items(&self, before: OffsetDateTime, dead_letters: bool) -> impl Iterator<Item = ItemId> {
        let ended = self.items.values().filter(move |item| item.ended_at.is_some_and(|at| at <= before));
        let ended = ended.filter(move |item| dead_letters || item.status != ItemStatus::DeadLetter);
        ended.map(|item| item.id)
    }

    fn prune(&mut self, before: OffsetDateTime, dead_letters: bool) -> u64 {
        let items: Vec<ItemId> = self.old_items(before, dead_letters).collect();
        for id in &items {
            if let Some(item) = self.items.remove(id)
                && let Some(dead) = self.dead.get_mut(&item.key)
            {
                dead.remove(id);
            }
        }
        for decided in self.decisions.values_mut() {
            decided.retain(|decided| decided.entry.at > before);
        }
        let count_before = self.events.len();
        self.events.retain(|_, event| !event.is_old(before, dead_letters));
        let events = &self.events;
        self.deliveries.retain(|_, id| events.contains_key(id));
        (items.len() + count_before - self.events.len()) as u64
    }
}

impl Event {
    fn is_old(&self, before: OffsetDateTime, failed_too: bool) -> bool {
        let status = self.row.status;
        let ended = status == EventStatus::Completed || status == EventStatus::Failed && failed_too;
        ended && self.row.processed_at.is_some_and(|at| at <= before)
    }
}
