//! Stopping and restarting the processing of an entity type, in every copy.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::http::{
    extract::{ApiJson, known_entity},
    openapi::schemas,
    problem::Problem,
    state::AppState,
};

/// Which entity type.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseBody {
    /// Such as `invoices`
    #[schema(example = "invoices")]
    entity_type: String,
}

/// Which entity types are paused
#[utoipa::path(get, path = "/api/zoho/sync/pause", tag = "sync", operation_id = "list_paused", security(("bearer" = [])), responses(
    (status = 200, description = "paused entity types, since when", body = schemas::PausedList),
    (status = 401, response = schemas::Unauthorized),
))]
pub(crate) async fn show(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let paused = state.services.queue.paused().await?;
    let entry = |(entity, since): (_, time::OffsetDateTime)| json!({"entity_type": entity, "since": since.format(&Rfc3339).ok()});
    Ok(Json(json!({"paused": paused.into_iter().map(entry).collect::<Vec<_>>()})))
}

/// Stop processing an entity type; its events are still kept and queued
#[utoipa::path(post, path = "/api/zoho/sync/pause", tag = "sync", operation_id = "pause_entity", security(("bearer" = [])), request_body = PauseBody,
    responses(
    (status = 200, description = "paused", body = schemas::PauseState),
    (status = 400, response = schemas::Unreadable),
    (status = 401, response = schemas::Unauthorized),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn pause(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<PauseBody>,
) -> Result<Json<Value>, Problem> {
    set(&state, &body, true).await
}

/// Process an entity type again
#[utoipa::path(post, path = "/api/zoho/sync/resume", tag = "sync", operation_id = "resume_entity", security(("bearer" = [])), request_body = PauseBody,
    responses(
    (status = 200, description = "processed again", body = schemas::PauseState),
    (status = 400, response = schemas::Unreadable),
    (status = 401, response = schemas::Unauthorized),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn resume(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<PauseBody>,
) -> Result<Json<Value>, Problem> {
    set(&state, &body, false).await
}

async fn set(state: &AppState, body: &PauseBody, paused: bool) -> Result<Json<Value>, Problem> {
    let entity = known_entity(&state.services.registry, &body.entity_type)?;
    state.services.queue.set_paused(&entity, paused).await?;
    Ok(Json(json!({"entity_type": entity, "paused": paused})))
}
