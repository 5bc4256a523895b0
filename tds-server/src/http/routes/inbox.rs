//! Webhook events as they were received.

use axum::{Json, extract::State};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tds_core::{
    inbox::{EventFilter, EventStatus, EventView, InboxId, InboxStats},
    queue::Page,
    record::EntityType,
};

use crate::{
    config::parse_duration,
    http::{
        extract::{ApiId, ApiQuery, filled, known_entity, limit, one_of},
        openapi::schemas,
        problem::{Problem, ProblemKind},
        routes::webhooks,
        state::AppState,
    },
};

/// Which events.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only of this status
    #[param(inline, value_type = Option<schemas::InboxStatus>)]
    status: Option<String>,
    /// Only of this entity type
    entity_type: Option<String>,
    /// Only with this text in the record id, event id or error
    search: Option<String>,
    /// Only received at least this long ago, such as `1h`
    #[param(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    older_than: Option<String>,
    /// How many; 50 where absent
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Where to go on: `next_cursor` of the page before
    cursor: Option<String>,
}

/// An event with its body.
#[derive(Serialize)]
pub(crate) struct EventDetail {
    #[serde(flatten)]
    event: EventView,
    /// `json`, `text` or `base64`.
    payload_encoding: &'static str,
    payload: Value,
}

impl From<EventView> for EventDetail {
    fn from(mut event: EventView) -> Self {
        let (payload_encoding, payload) = readable(event.raw_payload.take().unwrap_or_default());
        Self { event, payload_encoding, payload }
    }
}

/// Counts of the inbox
#[utoipa::path(get, path = "/api/zoho/webhooks/inbox/stats", tag = "inbox", operation_id = "get_inbox_stats", security(("bearer" = [])), responses(
    (status = 200, description = "counts, in all and of the last 24 hours", body = schemas::InboxStats),
    (status = 401, response = schemas::Unauthorized),
))]
pub(crate) async fn stats(State(state): State<AppState>) -> Result<Json<InboxStats>, Problem> {
    let mut stats = state.services.events.inbox_stats().await?;
    for status in EventStatus::ALL {
        stats.by_status.entry(status.as_str().to_owned()).or_default();
    }
    for entity in state.services.registry.entities() {
        stats.by_entity.entry(entity.clone()).or_default();
    }
    Ok(Json(stats))
}

/// Events, newest first
#[utoipa::path(get, path = "/api/zoho/webhooks/inbox", tag = "inbox", operation_id = "list_events", security(("bearer" = [])), params(EventQuery),
    responses(
    (status = 200, description = "one page of events", body = schemas::EventPage),
    (status = 401, response = schemas::Unauthorized),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<EventQuery>,
) -> Result<Json<Page<EventView>>, Problem> {
    let entity = filled(query.entity_type.as_deref());
    let filter = EventFilter {
        status: one_of("status", query.status.as_deref(), &EventStatus::ALL, EventStatus::as_str)?,
        entity: entity.map(|text| event_entity(&state, text)).transpose()?,
        search: filled(query.search.as_deref()).map(str::to_owned),
        older_than: older_than(query.older_than.as_deref())?,
    };
    let limit = limit(query.limit.as_deref(), 50)?;
    let cursor = filled(query.cursor.as_deref());
    Ok(Json(state.services.events.list_events(&filter, limit, cursor).await?))
}

/// One event with its headers and body
#[utoipa::path(get, path = "/api/zoho/webhooks/inbox/{id}", tag = "inbox", operation_id = "get_event", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "the event", body = schemas::EventDetail),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn show(
    State(state): State<AppState>,
    ApiId(id): ApiId,
) -> Result<Json<EventDetail>, Problem> {
    Ok(Json(existing(&state, id).await?.into()))
}

/// Process an event once more
#[utoipa::path(post, path = "/api/zoho/webhooks/inbox/{id}/replay", tag = "inbox", operation_id = "replay_event", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "processed again; status as in the answer to a webhook", body = schemas::Replayed),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn replay(State(state): State<AppState>, ApiId(id): ApiId) -> Result<Json<Value>, Problem> {
    let event = existing(&state, id).await?;
    let disposition =
        webhooks::understand_again(&state.services.catalogue, state.services.zoho.organization_id(), &event);
    let status = webhooks::status_of(&disposition);
    state.services.events.replay(InboxId(id), disposition).await?;
    Ok(Json(json!({"affected": 1, "inbox_event_id": id, "status": status})))
}

async fn existing(state: &AppState, id: i64) -> Result<EventView, Problem> {
    let event = state.services.events.get_event(InboxId(id)).await?;
    event.ok_or_else(|| Problem::new(ProblemKind::UnknownId, format!("There is no inbox event {id}.")))
}

/// An entity type that events may have: some kinds are kept that nothing handles.
fn event_entity(state: &AppState, text: &str) -> Result<EntityType, Problem> {
    if webhooks::UNHANDLED.contains(&text) {
        return text.parse().map_err(|error| Problem::invalid(format!("{error}.")));
    }
    known_entity(&state.services.registry, text)
}

/// `older_than` as a duration.
pub(super) fn older_than(text: Option<&str>) -> Result<Option<std::time::Duration>, Problem> {
    let Some(text) = filled(text) else { return Ok(None) };
    let duration = parse_duration(text);
    duration.map(Some).ok_or_else(|| {
        Problem::invalid(format!("older_than must be a duration such as 90s, 1h or 30d, not {text:?}."))
    })
}

/// A body as JSON where it is JSON, as text where it is text, else base64.
fn readable(body: Vec<u8>) -> (&'static str, Value) {
    if let Ok(json) = serde_json::from_slice(&body) {
        return ("json", json);
    }
    match String::from_utf8(body) {
        Ok(text) => ("text", Value::String(text)),
        Err(error) => ("base64", Value::String(STANDARD.encode(error.as_bytes()))),
    }
}
