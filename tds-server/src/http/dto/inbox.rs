//! Inbox events.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::Value;
use tds_core::{
    inbox::{self, EventView},
    queue::{Outcome, Page},
};
use time::OffsetDateTime;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{
    by_name, each,
    names::{InboxStatus, OutcomeName, PayloadEncoding, ReceiptStatus},
};
use crate::app::{events::Reception, webhooks::Kept};

wire! {
    /// The answer to an authentic webhook.
    Receipt from kept: Kept {
        #[schema(inline, value_type = ReceiptStatus)]
        status: &'static str = kept.reception.as_str(),
        /// The identity of the delivery
        event_id: String,
        /// The id of the event in the inbox
        inbox_event_id: i64 = kept.id.0,
        /// Whether the same delivery was received before
        duplicate: bool,
    }

    /// An event that is processed again
    Replayed from replayed: (i64, Reception) {
        affected: u64 = 1,
        inbox_event_id: i64 = replayed.0,
        #[schema(inline, value_type = ReceiptStatus)]
        status: &'static str = replayed.1.as_str(),
    }

    /// One page of events
    EventPage from page: Page<EventView> {
        items: Vec<Event> = each(page.items),
        next_cursor: Option<String>,
    }

    /// An inbox event
    Event from event: EventView {
        id: i64 = event.id.0,
        event_id: String,
        source_type: String,
        entity_type: String = event.entity_type.to_string(),
        entity_id: Option<String>,
        event_type: String,
        #[schema(inline, value_type = InboxStatus)]
        status: &'static str = event.status.as_str(),
        #[schema(inline, value_type = Option<OutcomeName>)]
        outcome: Option<&'static str> = event.outcome.map(Outcome::as_str),
        error_message: Option<String>,
        #[serde(with = "time::serde::rfc3339")]
        received_at: OffsetDateTime,
        #[serde(with = "time::serde::rfc3339::option")]
        processed_at: Option<OffsetDateTime>,
        /// When the body was blanked; null while it is kept
        #[serde(with = "time::serde::rfc3339::option")]
        blanked_at: Option<OffsetDateTime>,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<BTreeMap<String, String>>)]
        headers: Option<Value>,
    }

    /// Counts of the inbox
    InboxStats from stats: inbox::InboxStats {
        total: i64,
        by_status: BTreeMap<String, i64> =
            stats.by_status.into_iter().map(|(status, events)| (status.as_str().to_owned(), events)).collect(),
        by_entity: BTreeMap<String, i64> = by_name(stats.by_entity),
        last_24h: LastDay,
        #[serde(with = "time::serde::rfc3339::option")]
        last_received_at: Option<OffsetDateTime>,
    }

    /// Events of the last 24 hours
    LastDay from day: inbox::LastDay {
        total: i64,
        completed: i64,
        failed: i64,
        success_rate_percent: Option<f64> = day.success_rate_percent(),
    }

    /// A body: as JSON if it is JSON, otherwise as text if it is text, otherwise in base64.
    EventBody from body: (&'static str, Value) {
        #[schema(inline, value_type = PayloadEncoding)]
        payload_encoding: &'static str = body.0,
        payload: Value = body.1,
    }
}

/// An inbox event with its body
#[derive(Serialize)]
pub(crate) struct EventDetail {
    #[serde(flatten)]
    event: Event,
    #[serde(flatten)]
    body: EventBody,
}

impl From<EventView> for EventDetail {
    fn from(mut event: EventView) -> Self {
        let body = readable(event.raw_payload.take().unwrap_or_default()).into();
        Self { event: event.into(), body }
    }
}

fn readable(body: Vec<u8>) -> (&'static str, Value) {
    if let Ok(json) = serde_json::from_slice(&body) {
        return ("json", json);
    }
    match String::from_utf8(body) {
        Ok(text) => ("text", Value::String(text)),
        Err(error) => ("base64", Value::String(STANDARD.encode(error.as_bytes()))),
    }
}

/// Merges the keys of both parts into one object. The derived schema of flattened parts does not describe one object.
impl PartialSchema for EventDetail {
    fn schema() -> RefOr<Schema> {
        let mut whole = Event::schema();
        if let (RefOr::T(Schema::Object(whole)), RefOr::T(Schema::Object(body))) =
            (&mut whole, EventBody::schema())
        {
            whole.description = Some("An inbox event with its body".to_owned());
            whole.properties.extend(body.properties);
            whole.required.extend(body.required);
        }
        whole
    }
}

impl ToSchema for EventDetail {}
