//! The inbox in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore,
    state::{Event, Progress, State},
    view::{below, page},
};
use crate::{
    error::{Error, Result},
    inbox::{
        Accepted, Disposition, EventFilter, EventStatus, EventView, Inbox, InboxId, InboxOperator,
        InboxStats, NewEvent, other_records,
    },
    queue::{Lane, NewItem, Page, Waiter, Work},
    record::{RecordId, RecordKey},
};

#[async_trait]
impl Inbox for MemoryStore {
    async fn accept(&self, event: NewEvent) -> Result<Accepted> {
        let now = self.now();
        let accepted = {
            let mut state = self.state();
            if let Some(id) = state.deliveries.get(&event.event_id).copied() {
                let came_back = state.came_back(id, &event.disposition);
                if !came_back.is_empty() {
                    let order = state.next_id();
                    if let Some(known) = state.events.get_mut(&id) {
                        known.order = order;
                    }
                    state.begin_again(id, &Disposition::Work(came_back), Lane::Webhook, now);
                }
                Accepted { id, duplicate: true }
            } else {
                let id = InboxId(state.next_id());
                state.deliveries.insert(event.event_id.clone(), id);
                let disposition = event.disposition.clone();
                state.events.insert(id, stored(id, event, now));
                state.dispose(id, &disposition, Lane::Webhook, now);
                Accepted { id, duplicate: false }
            }
        };
        self.announce_work();
        Ok(accepted)
    }
}

#[async_trait]
impl InboxOperator for MemoryStore {
    async fn list_events(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<EventView>> {
        let (below, now, state) = (InboxId(below(cursor)?), self.now(), self.state());
        let newest_first = state.events.range(..below).rev().filter(|(_, event)| event.matches(filter, now));
        Ok(page(newest_first.map(|(id, event)| (id.0, event.view(*id))), limit))
    }

    async fn get_event(&self, id: InboxId) -> Result<Option<EventView>> {
        let state = self.state();
        Ok(state.events.get(&id).map(|event| EventView {
            headers: Some(event.headers.clone()),
            raw_payload: Some(event.raw_payload.clone()),
            ..event.view(id)
        }))
    }

    async fn replay(&self, id: InboxId, disposition: Disposition) -> Result<()> {
        let now = self.now();
        {
            let mut state = self.state();
            if !state.events.contains_key(&id) {
                return Err(Error::not_found(format!("there is no inbox event {id}")));
            }
            state.begin_again(id, &disposition, Lane::Operator, now);
        }
        self.announce_work();
        Ok(())
    }

    async fn inbox_stats(&self) -> Result<InboxStats> {
        let (day_ago, state) = (self.now() - time::Duration::DAY, self.state());
        let mut stats = InboxStats::default();
        for event in state.events.values() {
            let last_24h = i64::from(event.received_at > day_ago);
            stats.add(event.entity_type.clone(), event.status, 1, last_24h);
            stats.last_received_at = stats.last_received_at.max(Some(event.received_at));
        }
        Ok(stats)
    }
}

impl State {
    /// Returns the records of a known delivery that later deliveries also concern, as work to read them.
    fn came_back(&self, id: InboxId, disposition: &Disposition) -> Vec<(RecordKey, Work)> {
        let Some(known) = self.events.get(&id) else { return Vec::new() };
        let is_about = |event: &Event, record: &RecordId| {
            event.records.contains(record)
                || event.records.is_empty() && event.entity_id.as_deref() == Some(record.as_str())
        };
        let later = |record: &RecordId| {
            self.events.values().any(|event| {
                event.order > known.order && event.entity_type == known.entity_type && is_about(event, record)
            })
        };
        disposition
            .work()
            .iter()
            .filter(|(key, _)| later(&key.id))
            .map(|(key, work)| (key.clone(), Work { version: work.version, ..Work::fetch() }))
            .collect()
    }

    /// Makes an event that ended pending again. The event continues to wait for items that are open, and stops
    /// waiting for dead letters.
    fn begin_again(&mut self, id: InboxId, disposition: &Disposition, lane: Lane, now: OffsetDateTime) {
        let Some(event) = self.events.get_mut(&id) else { return };
        let (open, ended): (BTreeMap<_, _>, _) = std::mem::take(&mut event.items)
            .into_iter()
            .partition(|(_, progress)| *progress == Progress::Open);
        event.items = open;
        for item in ended.keys() {
            self.forget_waiter(*item, Waiter::Event(id));
        }
        self.dispose(id, disposition, lane, now);
    }

    /// Sets the status that follows from the disposition, and queues the work of the event.
    fn dispose(&mut self, id: InboxId, disposition: &Disposition, lane: Lane, now: OffsetDateTime) {
        if let Some(event) = self.events.get_mut(&id) {
            event.status = disposition.status();
            event.outcome = disposition.outcome();
            event.error = disposition.reason().map(str::to_owned);
            event.processed_at = (event.status != EventStatus::Pending).then_some(now);
        }
        for (key, work) in disposition.work() {
            let (key, work, waiter) = (key.clone().into(), work.clone(), Waiter::Event(id));
            self.enqueue(NewItem { key, lane, work, waiter }, now);
        }
    }
}

fn stored(id: InboxId, event: NewEvent, now: OffsetDateTime) -> Event {
    Event {
        order: id.0,
        records: other_records(&event),
        event_id: event.event_id,
        source_type: event.source_type,
        entity_type: event.entity_type,
        entity_id: event.entity_id,
        event_type: event.event_type,
        raw_payload: event.raw_payload,
        headers: event.headers,
        status: EventStatus::Pending,
        outcome: None,
        error: None,
        received_at: now,
        processed_at: None,
        items: Default::default(),
    }
}
