//! Sync runs.

use axum::{Json, extract::State};
use serde::Deserialize;
use tds_core::runs::{RunFilter, RunStatus};

use crate::http::{
    dto,
    extract::{ApiId, ApiQuery, filled, known_entity, limit, one_of},
    problem::Answer,
    state::AppState,
};

/// A selection of runs.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// Maximum number of runs; the default is 10
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 10)]
    limit: Option<String>,
    /// Only runs of this entity type, such as `credit_notes`
    entity_type: Option<String>,
    /// Only runs with this status
    #[param(inline, value_type = Option<dto::SyncStatus>)]
    status: Option<String>,
    /// Cursor of the page: the `next_cursor` of the previous page
    cursor: Option<String>,
}

/// Runs, newest first
#[utoipa::path(get, path = "/api/zoho/sync/runs", tag = "runs", operation_id = "list_runs", params(RunQuery),
    responses((status = 200, description = "runs, newest first", body = dto::RunList)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<RunQuery>,
) -> Answer<dto::RunList> {
    let entity = filled(query.entity_type.as_deref());
    let filter = RunFilter {
        entity: entity.map(|text| known_entity(state.services.engine.registry(), text)).transpose()?,
        status: one_of("status", query.status.as_deref(), &RunStatus::ALL, RunStatus::as_str)?,
        run_type: None,
    };
    let limit = limit(query.limit.as_deref(), 10)?;
    let cursor = filled(query.cursor.as_deref());
    Ok(Json(state.runs.list(&filter, limit, cursor).await?.into()))
}

/// One run
#[utoipa::path(get, path = "/api/zoho/sync/runs/{id}", tag = "runs", operation_id = "get_run", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the run", body = dto::SyncRun)))]
pub(crate) async fn show(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::SyncRun> {
    Ok(Json(state.runs.find(id).await?.into()))
}

/// Cancel a run; what it has done so far is kept
#[utoipa::path(post, path = "/api/zoho/sync/runs/{id}/cancel", tag = "runs", operation_id = "cancel_run",
    params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the cancelled run", body = dto::SyncRun), (status = 409, response = dto::Conflict)))]
pub(crate) async fn cancel(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::SyncRun> {
    Ok(Json(state.runs.cancel(id).await?.into()))
}

/// Resume a failed, cancelled or incomplete run from its checkpoint
#[utoipa::path(post, path = "/api/zoho/sync/runs/{id}/resume", tag = "runs", operation_id = "resume_run",
    params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the run, which is active again under the same id", body = dto::SyncRun), (status = 409, response = dto::Conflict)))]
pub(crate) async fn resume(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::SyncRun> {
    Ok(Json(state.runs.resume(id).await?.into()))
}

/// Release held deletions
#[utoipa::path(post, path = "/api/zoho/sync/runs/{id}/confirm-deletions", tag = "runs", operation_id = "confirm_deletions",
    params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the number of deletions that are now checked in Zoho", body = dto::Affected), (status = 409, response = dto::Conflict)))]
pub(crate) async fn confirm_deletions(
    State(state): State<AppState>,
    ApiId(id): ApiId,
) -> Answer<dto::Affected> {
    Ok(Json(state.runs.confirm_deletions(id).await?.into()))
}
