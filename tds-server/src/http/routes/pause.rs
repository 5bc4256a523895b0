//! Pauses and resumes the processing of an entity type, in every process.

use axum::{Json, extract::State};
use serde::Deserialize;

use crate::http::{
    dto,
    extract::{ApiJson, known_entity},
    problem::Answer,
    state::AppState,
};

/// The entity type to pause or resume.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseBody {
    /// The entity type, such as `invoices`
    #[schema(example = "invoices")]
    entity_type: String,
}

/// Paused entity types
#[utoipa::path(get, path = "/api/zoho/sync/pause", tag = "sync", operation_id = "list_paused",
    responses((status = 200, description = "paused entity types, each with the time at which it was paused", body = dto::PausedList)))]
pub(crate) async fn show(State(state): State<AppState>) -> Answer<dto::PausedList> {
    Ok(Json(state.items.paused().await?.into()))
}

/// Pause an entity type; its events are still stored and enqueued
#[utoipa::path(post, path = "/api/zoho/sync/pause", tag = "sync", operation_id = "pause_entity", request_body = PauseBody,
    responses((status = 200, description = "paused", body = dto::PauseState)))]
pub(crate) async fn pause(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<PauseBody>,
) -> Answer<dto::PauseState> {
    set(&state, &body, true).await
}

/// Resume an entity type
#[utoipa::path(post, path = "/api/zoho/sync/resume", tag = "sync", operation_id = "resume_entity", request_body = PauseBody,
    responses((status = 200, description = "processed again", body = dto::PauseState)))]
pub(crate) async fn resume(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<PauseBody>,
) -> Answer<dto::PauseState> {
    set(&state, &body, false).await
}

async fn set(state: &AppState, body: &PauseBody, paused: bool) -> Answer<dto::PauseState> {
    let entity = known_entity(state.services.engine.registry(), &body.entity_type)?;
    state.items.set_paused(&entity, paused).await?;
    Ok(Json((entity, paused).into()))
}
