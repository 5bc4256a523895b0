//! The health of the process, for people and orchestrators. No token is required.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    app::health::HealthStatus,
    http::{
        dto,
        problem::{Answer, Problem},
        state::AppState,
    },
};

/// The state of every component
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "get_health", responses(
    (status = 200, description = "healthy, or degraded: webhooks are stored and the queue works", body = dto::HealthReport),
    (status = 503, description = "unhealthy: webhooks cannot be stored", body = dto::HealthReport),
))]
pub(crate) async fn health(State(state): State<AppState>) -> Response {
    let report = state.health.report().await;
    let status = match report.status {
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(dto::HealthReport::from(report))).into_response()
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health", operation_id = "get_livez", responses((status = 200, description = "alive")))]
pub(crate) async fn livez() -> Json<dto::ProcessState> {
    Json("alive".into())
}

/// Whether the process can accept webhooks
#[utoipa::path(get, path = "/readyz", tag = "health", operation_id = "get_readyz", responses(
    (status = 200, description = "ready"),
    (status = 503, description = "the database cannot be reached, its schema is outdated, or the process is stopping"),
))]
pub(crate) async fn readyz(State(state): State<AppState>) -> Answer<dto::ProcessState> {
    if state.is_draining() {
        return Err(Problem::unavailable("The server is stopping."));
    }
    match state.health.not_ready().await {
        None => Ok(Json("ready".into())),
        Some(troubles) => Err(Problem::unavailable(troubles)),
    }
}
