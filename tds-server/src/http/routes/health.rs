//! How the process is, for people and orchestrators. No token.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    app::health::{HealthReport, HealthStatus},
    http::{
        openapi::schemas,
        problem::{Problem, ProblemKind},
        state::AppState,
    },
};

/// The state of every component
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "get_health", responses(
    (status = 200, description = "healthy, or degraded: ingest and queue work", body = schemas::HealthReport),
    (status = 503, description = "unhealthy: webhooks cannot be kept", body = schemas::HealthReport),
))]
pub(crate) async fn health(State(state): State<AppState>) -> Response {
    let report = state.health.report().await;
    (status_of(&report), Json(report)).into_response()
}

/// The process runs
#[utoipa::path(get, path = "/livez", tag = "health", operation_id = "get_livez", responses((status = 200, description = "alive")))]
pub(crate) async fn livez() -> Response {
    Json(json!({"status": "alive"})).into_response()
}

/// The process can take webhooks
#[utoipa::path(get, path = "/readyz", tag = "health", operation_id = "get_readyz", responses(
    (status = 200, description = "ready"),
    (status = 503, description = "the database is away, its schema is not up to date, or the process is stopping"),
))]
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<Response, Problem> {
    if state.is_draining() {
        return Err(Problem::new(ProblemKind::Unavailable, "The server is stopping.").retry_after(5));
    }
    let report = state.health.essentials().await;
    if report.status == HealthStatus::Healthy {
        return Ok(Json(json!({"status": "ready"})).into_response());
    }
    let troubles = report.components.iter().filter(|(_, part)| part.state != HealthStatus::Healthy);
    let texts: Vec<String> = troubles.map(|(name, part)| format!("{name}: {}", part.detail)).collect();
    Err(Problem::new(ProblemKind::Unavailable, texts.join("; ")).retry_after(5))
}

fn status_of(report: &HealthReport) -> StatusCode {
    match report.status {
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    }
}
