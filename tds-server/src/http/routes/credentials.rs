//! Checks whether the credentials of Zoho work.

use axum::{Json, extract::State};

use crate::http::{
    dto,
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// Ask Zoho whether the credentials work
#[utoipa::path(post, path = "/api/zoho/test-credentials", tag = "sync", operation_id = "test_credentials",
    responses((status = 200, description = "Zoho accepts the credentials", body = dto::Credentials), (status = 502, response = dto::Upstream)))]
pub(crate) async fn test(State(state): State<AppState>) -> Result<Json<dto::Credentials>, Problem> {
    let report = state.services.zoho.check_credentials().await.map_err(|error| {
        tracing::warn!(error = %error.chain(), "a check of the credentials failed");
        // The caller asked for the cause in Zoho's words.
        Problem::new(ProblemKind::Upstream, error.chain())
    })?;
    Ok(Json(report.into()))
}
