//! Counts and delays of the queue.

use axum::{Json, extract::State};

use crate::http::{dto, problem::Answer, state::AppState};

/// Counts and delays of the queue, by entity type
#[utoipa::path(get, path = "/api/zoho/sync/stats", tag = "sync", operation_id = "get_stats",
    responses((status = 200, description = "current counts, and delays of the last 24 hours", body = dto::Stats)))]
pub(crate) async fn show(State(state): State<AppState>) -> Answer<dto::Stats> {
    Ok(Json(state.activity.figures().await?.into()))
}
