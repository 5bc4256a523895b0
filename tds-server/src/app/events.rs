//! Inbox events: list, find, count, replay.

use std::sync::Arc;

use tds_core::{
    engine::Registry,
    error::Result,
    inbox::{Disposition, EventFilter, EventStatus, EventView, InboxId, InboxOperator, InboxStats},
    queue::Page,
};
use tds_zoho::{
    entities::Catalogue,
    webhook::{Authentic, Received, parse, parse_id},
};

use super::refusal::Refusal;

/// What becomes of a body that proved authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reception {
    /// Its records are looked at.
    Accepted,
    /// Nothing here handles what it is about.
    Ignored,
    /// It was not understood; a person has to look.
    Unparsed,
}

impl Reception {
    pub(crate) const ALL: [Self; 3] = [Self::Accepted, Self::Ignored, Self::Unparsed];

    pub(crate) fn of(disposition: &Disposition) -> Self {
        match disposition {
            Disposition::Work(_) => Self::Accepted,
            Disposition::Ignored(_) => Self::Ignored,
            Disposition::Unparsed(_) => Self::Unparsed,
        }
    }

    /// The name as it is shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Ignored => "ignored",
            Self::Unparsed => "unparsed",
        }
    }
}

/// What operators do with inbox events.
#[derive(Clone)]
pub(crate) struct Events {
    events: Arc<dyn InboxOperator>,
    catalogue: Catalogue,
}

impl Events {
    pub(crate) fn new(events: Arc<dyn InboxOperator>, catalogue: Catalogue) -> Self {
        Self { events, catalogue }
    }

    /// One page, newest first.
    pub(crate) async fn list(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<EventView>> {
        self.events.list_events(filter, limit, cursor).await
    }

    /// One event with its headers and body.
    pub(crate) async fn find(&self, id: i64) -> Result<EventView, Refusal> {
        self.events.get_event(InboxId(id)).await?.ok_or(Refusal::Unknown("inbox event", id))
    }

    /// Understands an event once more and queues what follows.
    pub(crate) async fn replay(&self, organization: &str, id: i64) -> Result<Reception, Refusal> {
        let event = self.find(id).await?;
        let disposition = understand_again(&self.catalogue, organization, &event);
        let reception = Reception::of(&disposition);
        self.events.replay(event.id, disposition).await?;
        Ok(reception)
    }

    /// Counts, with zeros for each status and each entity type that has no events.
    pub(crate) async fn stats(&self, registry: &Registry) -> Result<InboxStats> {
        let mut stats = self.events.inbox_stats().await?;
        for status in EventStatus::ALL {
            stats.by_status.entry(status.as_str().to_owned()).or_default();
        }
        for entity in registry.entities() {
            stats.by_entity.entry(entity.clone()).or_default();
        }
        Ok(stats)
    }
}

/// What an event's body says, read once more. Where it is empty, the address named the record.
fn understand_again(catalogue: &Catalogue, organization_id: &str, event: &EventView) -> Disposition {
    let body = event.raw_payload.as_deref().unwrap_or_default();
    if let Some(id) = event.entity_id.as_deref().filter(|_| body.trim_ascii().is_empty()) {
        return parse_id(&event.entity_type, id);
    }
    let received = Received {
        entity: &event.entity_type,
        event_type: &event.event_type,
        organization_id,
        at: event.received_at,
        // The event keeps the identity that it has.
        receipt: String::new,
    };
    parse(catalogue, &Authentic::kept(body), &received).disposition
}
