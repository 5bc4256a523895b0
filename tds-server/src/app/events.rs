//! Inbox events: list, find, count and replay.

use tds_core::{
    engine::Registry,
    error::Result,
    inbox::{Disposition, EventFilter, EventStatus, EventView, InboxId, InboxStats},
    queue::Page,
};
use tds_zoho::{
    entities::Catalogue,
    webhook::{Authentic, Received, parse, parse_id},
};

use super::{refusal::Refusal, services::Ports};

tds_core::closed_set! {
    /// What the program does with a verified body.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Reception {
        /// The records of the event are processed.
        Accepted = "accepted",
        /// No handler is registered for the subject of the event.
        Ignored = "ignored",
        /// The body was not understood. An operator has to look at the event.
        Unparsed = "unparsed",
    }
}

impl Reception {
    pub(crate) fn of(disposition: &Disposition) -> Self {
        match disposition {
            Disposition::Work(_) => Self::Accepted,
            Disposition::Ignored(_) => Self::Ignored,
            Disposition::Unparsed(_) => Self::Unparsed,
        }
    }
}

/// The operations of operators on inbox events.
#[derive(Clone)]
pub(crate) struct Events {
    pub(crate) ports: Ports,
    pub(crate) catalogue: Catalogue,
}

impl Events {
    /// Returns one page of events, newest first.
    pub(crate) async fn list(
        &self,
        filter: &EventFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<EventView>> {
        self.ports.events.list_events(filter, limit, cursor).await
    }

    /// Returns one event with its headers and its body.
    pub(crate) async fn find(&self, id: i64) -> Result<EventView, Refusal> {
        self.ports.events.get_event(InboxId(id)).await?.ok_or(Refusal::Unknown("inbox event", id))
    }

    /// Parses an event again and enqueues the work that follows from it.
    pub(crate) async fn replay(&self, organization: &str, id: i64) -> Result<Reception, Refusal> {
        let event = self.find(id).await?;
        let disposition = understand_again(&self.catalogue, organization, &event)?;
        let reception = Reception::of(&disposition);
        self.ports.events.replay(event.id, disposition).await?;
        Ok(reception)
    }

    /// Returns the counts of the inbox, with zeros for each status and each entity type that has no events.
    pub(crate) async fn stats(&self, registry: &Registry) -> Result<InboxStats> {
        let mut stats = self.ports.events.inbox_stats().await?;
        for status in EventStatus::ALL {
            stats.by_status.entry(status).or_default();
        }
        for entity in registry.entities() {
            stats.by_entity.entry(entity.clone()).or_default();
        }
        Ok(stats)
    }
}

/// Parses the body of an event again. If the body is empty, the address of the webhook named the record. A body that
/// was blanked is refused.
pub(super) fn understand_again(
    catalogue: &Catalogue,
    organization_id: &str,
    event: &EventView,
) -> Result<Disposition, Refusal> {
    if let Some(at) = event.blanked_at {
        return Err(Refusal::Blanked(event.id.0, at));
    }
    let body = event.raw_payload.as_deref().unwrap_or_default();
    if let Some(id) = event.entity_id.as_deref().filter(|_| body.trim_ascii().is_empty()) {
        return Ok(parse_id(catalogue, &event.entity_type, id));
    }
    let received = Received {
        entity: &event.entity_type,
        event_type: &event.event_type,
        organization_id,
        at: event.received_at,
        // A replayed event keeps its identity, so the receipt is not used.
        receipt: String::new,
    };
    Ok(parse(catalogue, &Authentic::kept(body), &received).disposition)
}
