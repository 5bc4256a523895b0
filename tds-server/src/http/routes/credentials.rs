//! Do Zoho's credentials work?

use axum::{Json, extract::State};
use serde::Serialize;
use tds_zoho::CredentialsReport;

use crate::http::{
    openapi::schemas,
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// The answer of a check that went well.
#[derive(Serialize)]
pub(crate) struct Checked {
    status: &'static str,
    #[serde(flatten)]
    report: CredentialsReport,
}

/// Ask Zoho whether the credentials work
#[utoipa::path(post, path = "/api/zoho/test-credentials", tag = "sync", operation_id = "test_credentials", security(("bearer" = [])), responses(
    (status = 200, description = "Zoho accepts them", body = schemas::Credentials),
    (status = 401, response = schemas::Unauthorized),
    (status = 502, response = schemas::Upstream),
))]
pub(crate) async fn test(State(state): State<AppState>) -> Result<Json<Checked>, Problem> {
    let report = state.services.zoho.check_credentials().await.map_err(|error| {
        tracing::warn!(error = %error.chain(), "the credentials were checked and do not work");
        // The cause in Zoho's words is what the caller asked for.
        Problem::new(ProblemKind::Upstream, error.chain())
    })?;
    Ok(Json(Checked { status: "ok", report }))
}
