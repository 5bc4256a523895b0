//! The inbox in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::{
    MemoryStore,
    state::{Event, Progress, State},
    view::{below, page},
};
use crate::{
    error::{Error, Result},
    history::Happening,
    inbox::{
        Accepted, Deliveries, Disposition, EventFilter, EventStatus, EventView, Inbox, InboxId,
        InboxOperator, InboxStats, NewEvent, other_records,
    },
    queue::{Lane, NewItem, Page, Waiter, Work},
    record::{Origin, RecordId, RecordKey},
};

#[async_trait]
impl Inbox for MemoryStore {
    async fn accept(&self, event: NewEvent) -> Result<Accepted> {
        Ok(self.change(|state| {
            if let Some(id) = state.deliveries.get(&event.event_id).copied() {
                state.note_event(id, &keys_of(&event.disposition), Happening::Duplicate, Origin::Webhook);
                let came_back = state.came_back(id, &event.disposition);
                if !came_back.is_empty() {
                    let order = state.next_id();
                    if let Some(known) = state.events.get_mut(&id) {
                        known.order = order;
                    }
                    state.begin_again(id, &Disposition::Work(came_back), Lane::Webhook);
                }
                return Accepted { id, duplicate: true };
            }
            let id = InboxId(state.next_id());
            state.deliveries.insert(event.event_id.clone(), id);
            let disposition = event.disposition.clone();
            state.events.insert(id, stored(id, event, state.now.0));
            state.dispose(id, &disposition, Lane::Webhook);
            Accepted { id, duplicate: false }
        }))
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
        let (below, state) = (InboxId(below(cursor)?), self.state());
        let now = state.now.0;
        let newest_first = state.events.range(..below).rev().filter(|(_, event)| event.matches(filter, now));
        Ok(page(newest_first.map(|(id, event)| (id.0, event.row.clone())), limit))
    }

    async fn get_event(&self, id: InboxId) -> Result<Option<EventView>> {
        let state = self.state();
        Ok(state.events.get(&id).map(|event| EventView {
            headers: Some(event.headers.clone()),
            raw_payload: Some(event.raw_payload.clone()),
            ..event.row.clone()
        }))
    }

    async fn replay(&self, id: InboxId, disposition: Disposition) -> Result<()> {
        self.change(|state| {
            if !state.events.contains_key(&id) {
                return Err(Error::not_found(format!("there is no inbox event {id}")));
            }
            state.note_event(id, &keys_of(&disposition), Happening::Replay, Origin::Operator);
            state.begin_again(id, &disposition, Lane::Operator);
            Ok(())
        })
    }

    async fn deliveries(&self, within: Duration) -> Result<Deliveries> {
        let state = self.state();
        let now = state.now.0;
        let mut deliveries = Deliveries::default();
        for Event { row, .. } in state.events.values() {
            let age = Duration::try_from(now - row.received_at).unwrap_or_default();
            if age <= within {
                deliveries.span = deliveries.span.max(age);
                *deliveries.by_entity.entry(row.entity_type.clone()).or_default() += 1;
            }
        }
        Ok(deliveries)
    }

    async fn inbox_stats(&self) -> Result<InboxStats> {
        let state = self.state();
        let day_ago = state.now.0 - time::Duration::DAY;
        let mut stats = InboxStats::default();
        for Event { row, .. } in state.events.values() {
            let last_24h = i64::from(row.received_at > day_ago);
            stats.add(row.entity_type.clone(), row.status, 1, last_24h);
            stats.last_received_at = stats.last_received_at.max(Some(row.received_at));
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
                || event.records.is_empty() && event.row.entity_id.as_deref() == Some(record.as_str())
        };
        let later = |record: &RecordId| {
            self.events.values().any(|event| {
                event.order > known.order
                    && event.row.entity_type == known.row.entity_type
                    && is_about(event, record)
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
    fn begin_again(&mut self, id: InboxId, disposition: &Disposition, lane: Lane) {
        let Some(event) = self.events.get_mut(&id) else { return };
        let (open, ended): (BTreeMap<_, _>, _) = std::mem::take(&mut event.items)
            .into_iter()
            .partition(|(_, progress)| *progress == Progress::Open);
        event.items = open;
        for item in ended.keys() {
            self.forget_waiter(*item, Waiter::Event(id));
        }
        self.dispose(id, disposition, lane);
    }

    /// Sets the status that follows from the disposition, and enqueues the work of the event.
    fn dispose(&mut self, id: InboxId, disposition: &Disposition, lane: Lane) {
        if let Some(Event { row, .. }) = self.events.get_mut(&id) {
            row.status = disposition.status();
            row.outcome = disposition.outcome();
            row.error_message = disposition.reason().map(str::to_owned);
            row.processed_at = (row.status != EventStatus::Pending).then_some(self.now.0);
        }
        if disposition.work().is_empty() {
            self.blank_named(Some(id));
        }
        for (key, work) in disposition.work() {
            let (key, work, waiter) = (key.clone().into(), work.clone(), Waiter::Event(id));
            self.enqueue(NewItem { key, lane, work, waiter });
        }
    }
}

/// Returns the records whose work follows from an event, each once.
fn keys_of(disposition: &Disposition) -> Vec<RecordKey> {
    let keys: BTreeSet<&RecordKey> = disposition.work().iter().map(|(key, _)| key).collect();
    keys.into_iter().cloned().collect()
}

fn stored(id: InboxId, event: NewEvent, now: OffsetDateTime) -> Event {
    Event {
        order: id.0,
        records: other_records(&event),
        row: EventView {
            id,
            event_id: event.event_id,
            source_type: event.source_type,
            entity_type: event.entity_type,
            entity_id: event.entity_id,
            event_type: event.event_type,
            status: EventStatus::Pending,
            outcome: None,
            error_message: None,
            received_at: now,
            processed_at: None,
            blanked_at: None,
            headers: None,
            raw_payload: None,
        },
        raw_payload: event.raw_payload,
        headers: event.headers,
        items: BTreeMap::new(),
    }
}
