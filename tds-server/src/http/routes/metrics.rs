//! The address that Prometheus scrapes.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::http::state::AppState;

/// All metrics in the text format of Prometheus
///
/// With `TDS_METRICS_BIND`, the metrics are served at a separate address.
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "get_metrics", responses(
    (status = 200, description = "the series", body = String, content_type = "text/plain"),
))]
pub(crate) async fn show(State(state): State<AppState>) -> Response {
    let text = state.metrics.render(&state.services, &state.activity, &state.health).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
