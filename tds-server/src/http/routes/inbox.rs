//! Webhook events as they were received.

use axum::{Json, extract::State};
use serde::Deserialize;
use tds_core::{
    inbox::{EventFilter, EventStatus},
    record::EntityType,
};
use tds_zoho::entities::Catalogue;

use crate::http::{
    dto,
    extract::{
        ApiId, ApiOptionalJson, ApiQuery, DryRunBody, filled, known_entity, limit, older_than, one_of,
    },
    problem::{Answer, Problem},
    state::AppState,
};

/// A selection of events.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only events with this status
    #[param(inline, value_type = Option<dto::InboxStatus>)]
    status: Option<String>,
    /// Only events of this entity type
    entity_type: Option<String>,
    /// Only events with this text in the record id, the event id or the error
    search: Option<String>,
    /// Only events that were received at least this long ago, such as `1h`
    #[param(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    older_than: Option<String>,
    /// Maximum number of events; the default is 50
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Cursor of the page: the `next_cursor` of the previous page
    cursor: Option<String>,
}

/// Counts of the inbox
#[utoipa::path(get, path = "/api/zoho/webhooks/inbox/stats", tag = "inbox", operation_id = "get_inbox_stats",
    responses((status = 200, description = "counts in total and of the last 24 hours", body = dto::InboxStats)))]
pub(crate) async fn stats(State(state): State<AppState>) -> Answer<dto::InboxStats> {
    Ok(Json(state.events.stats(state.services.engine.registry()).await?.into()))
}

/// Events, newest first
#[utoipa::path(get, path = "/api/zoho/webhooks/inbox", tag = "inbox", operation_id = "list_events", params(EventQuery),
    responses((status = 200, description = "one page of events", body = dto::EventPage)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<EventQuery>,
) -> Answer<dto::EventPage> {
    let entity = filled(query.entity_type.as_deref());
    let filter = EventFilter {
        status: one_of("status", query.status.as_deref(), &EventStatus::ALL, EventStatus::as_str)?,
        entity: entity.map(|text| event_entity(&state, text)).transpose()?,
        search: filled(query.search.as_deref()).map(str::to_owned),
        older_than: older_than(query.older_than.as_deref())?,
    };
    let limit = limit(query.limit.as_deref(), 50)?;
    let cursor = filled(query.cursor.as_deref());
    Ok(Json(state.events.list(&filter, limit, cursor).await?.into()))
}

/// One event with its headers and body
#[utoipa::path(get, path = "/api/zoho/webhooks/inbox/{id}", tag = "inbox", operation_id = "get_event",
    params(("id" = i64, Path, minimum = 1)), responses((status = 200, description = "the event", body = dto::EventDetail)))]
pub(crate) async fn show(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::EventDetail> {
    Ok(Json(state.events.find(id).await?.into()))
}

/// Process an event again, or say what that would do
#[utoipa::path(post, path = "/api/zoho/webhooks/inbox/{id}/replay", tag = "inbox", operation_id = "replay_event",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<DryRunBody>,
    responses((status = 200, description = "the event is processed again, and status is as in the answer to a webhook; \
        with dry_run, nothing is written, and the answer says what would change", body = dto::ReplayAnswer)))]
pub(crate) async fn replay(
    State(state): State<AppState>,
    ApiId(id): ApiId,
    ApiOptionalJson(body): ApiOptionalJson<DryRunBody>,
) -> Answer<dto::ReplayAnswer> {
    if body.dry_run {
        return Ok(Json(dto::ReplayAnswer::Dry(state.dry_run.replay(id).await?.into())));
    }
    let reception = state.events.replay(state.services.zoho.organization_id(), id).await?;
    Ok(Json(dto::ReplayAnswer::Done((id, reception).into())))
}

/// Returns an entity type that events may have. The inbox also keeps events of kinds that no handler handles.
fn event_entity(state: &AppState, text: &str) -> Result<EntityType, Problem> {
    if Catalogue::UNHANDLED.contains(&text) {
        return text.parse().map_err(|error| Problem::invalid(format!("{error}.")));
    }
    known_entity(state.services.engine.registry(), text)
}
