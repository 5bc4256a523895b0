//! Checks whether the credentials of Zoho work.

use axum::{Json, extract::State};
use tds_core::error::Error;

use crate::{
    app::credentials,
    hint::command,
    http::{
        dto,
        problem::{Answer, Problem, ProblemKind},
        state::AppState,
    },
};

/// Ask Zoho whether the credentials work
#[utoipa::path(post, path = "/api/zoho/test-credentials", tag = "sync", operation_id = "test_credentials",
    responses((status = 200, description = "Zoho accepts the credentials", body = dto::Credentials), (status = 502, response = dto::Upstream)))]
pub(crate) async fn test(State(state): State<AppState>) -> Answer<dto::Credentials> {
    // The caller asked for the cause in Zoho's words.
    let upstream = |error: Error| Problem::new(ProblemKind::Upstream, error.explain(command));
    Ok(Json(credentials::test(&state.services.zoho).await.map_err(upstream)?.into()))
}
