//! Sync runs.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tds_core::runs::{Run, RunFilter, RunId, RunStatus};

use crate::http::{
    extract::{ApiId, ApiQuery, filled, known_entity, limit, one_of},
    openapi::schemas,
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// Every status of a run.
pub(crate) const STATUSES: [RunStatus; 6] = [
    RunStatus::Pending,
    RunStatus::Running,
    RunStatus::Completed,
    RunStatus::CompletedWithErrors,
    RunStatus::Failed,
    RunStatus::Cancelled,
];

/// Which runs.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunQuery {
    /// How many; 10 where absent
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 10)]
    limit: Option<String>,
    /// Only of this entity type, such as `credit_notes`
    entity_type: Option<String>,
    /// Only of this status
    #[param(inline, value_type = Option<schemas::SyncStatus>)]
    status: Option<String>,
    /// Where to go on: `next_cursor` of the page before
    cursor: Option<String>,
}

/// A list of runs.
#[derive(Serialize)]
pub(crate) struct Runs {
    runs: Vec<Run>,
    next_cursor: Option<String>,
}

/// Runs, newest first
#[utoipa::path(get, path = "/api/zoho/sync/runs", tag = "runs", operation_id = "list_runs", security(("bearer" = [])), params(RunQuery), responses(
    (status = 200, description = "runs, newest first", body = schemas::RunList),
    (status = 401, response = schemas::Unauthorized),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<RunQuery>,
) -> Result<Json<Runs>, Problem> {
    let entity = filled(query.entity_type.as_deref());
    let filter = RunFilter {
        entity: entity.map(|text| known_entity(&state.services.registry, text)).transpose()?,
        status: one_of("status", query.status.as_deref(), &STATUSES, RunStatus::as_str)?,
    };
    let limit = limit(query.limit.as_deref(), 10)?;
    let cursor = filled(query.cursor.as_deref());
    let page = state.services.runs.runs_page(&filter, limit, cursor).await?;
    Ok(Json(Runs { runs: page.items, next_cursor: page.next_cursor }))
}

/// One run
#[utoipa::path(get, path = "/api/zoho/sync/runs/{id}", tag = "runs", operation_id = "get_run", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "the run", body = schemas::SyncRun),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn show(State(state): State<AppState>, ApiId(id): ApiId) -> Result<Json<Run>, Problem> {
    existing(&state, id).await.map(Json)
}

/// Stop a run; what was done stays
#[utoipa::path(post, path = "/api/zoho/sync/runs/{id}/cancel", tag = "runs", operation_id = "cancel_run", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "the run, cancelled", body = schemas::SyncRun),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 409, response = schemas::Conflict),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn cancel(State(state): State<AppState>, ApiId(id): ApiId) -> Result<Json<Run>, Problem> {
    existing(&state, id).await?;
    Ok(Json(state.services.runs.cancel(RunId(id)).await?))
}

/// Let a failed, cancelled or incomplete run go on at its checkpoint
#[utoipa::path(post, path = "/api/zoho/sync/runs/{id}/resume", tag = "runs", operation_id = "resume_run", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "the run, active again under the same id", body = schemas::SyncRun),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 409, response = schemas::Conflict),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn resume(State(state): State<AppState>, ApiId(id): ApiId) -> Result<Json<Run>, Problem> {
    existing(&state, id).await?;
    Ok(Json(state.services.runs.resume(RunId(id)).await?))
}

/// Release the deletions that the mass-delete guard held back
#[utoipa::path(post, path = "/api/zoho/sync/runs/{id}/confirm-deletions", tag = "runs", operation_id = "confirm_deletions", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "how many are confirmed at Zoho now", body = schemas::Affected),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 409, response = schemas::Conflict),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn confirm_deletions(
    State(state): State<AppState>,
    ApiId(id): ApiId,
) -> Result<Json<Value>, Problem> {
    existing(&state, id).await?;
    let affected = state.services.runs.confirm_deletions(RunId(id)).await?;
    Ok(Json(json!({"affected": affected})))
}

async fn existing(state: &AppState, id: i64) -> Result<Run, Problem> {
    let run = state.services.runs.get_run(RunId(id)).await?;
    run.ok_or_else(|| Problem::new(ProblemKind::UnknownId, format!("There is no run {id}.")))
}
