//! Pauses and resumes the processing of an entity type, in every process.

use axum::{Json, extract::State};
use serde::Deserialize;

use crate::http::{
    dto,
    extract::{ApiJson, known_entity},
    problem::Problem,
    state::AppState,
};

/// Which entity type.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseBody {
    /// The entity type, such as `invoices`
    #[schema(example = "invoices")]
    entity_type: String,
}

/// Paused entity types
#[utoipa::path(get, path = "/api/zoho/sync/pause", tag = "sync", operation_id = "list_paused",
    responses((status = 200, description = "paused entity types, each with the time since when it is paused", body = dto::PausedList)))]
pub(crate) async fn show(State(state): State<AppState>) -> Result<Json<dto::PausedList>, Problem> {
    Ok(Json(state.items.paused().await?.into()))
}

/// Pause an entity type; its events are still stored and queued
#[utoipa::path(post, path = "/api/zoho/sync/pause", tag = "sync", operation_id = "pause_entity", request_body = PauseBody,
    responses((status = 200, description = "paused", body = dto::PauseState)))]
pub(crate) async fn pause(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<PauseBody>,
) -> Result<Json<dto::PauseState>, Problem> {
    set(&state, &body, true).await
}

/// Resume an entity type
#[utoipa::path(post, path = "/api/zoho/sync/resume", tag = "sync", operation_id = "resume_entity", request_body = PauseBody,
    responses((status = 200, description = "processed again", body = dto::PauseState)))]
pub(crate) async fn resume(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<PauseBody>,
) -> Result<Json<dto::PauseState>, Problem> {
    set(&state, &body, false).await
}

async fn set(state: &AppState, body: &PauseBody, paused: bool) -> Result<Json<dto::PauseState>, Problem> {
    let entity = known_entity(state.services.engine.registry(), &body.entity_type)?;
    state.items.set_paused(&entity, paused).await?;
    Ok(Json((entity, paused).into()))
}
