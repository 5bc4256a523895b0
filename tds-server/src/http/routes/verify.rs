//! Verifications.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;

use super::bulk_sync::Choice;
use crate::{
    app::verify::Request,
    http::{
        dto,
        extract::{ApiId, ApiJson},
        problem::{Answer, Problem, ProblemKind},
        state::AppState,
    },
};

/// What to compare.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyBody {
    /// An entity type, a list of entity types, or `all`
    #[schema(example = "all")]
    entity_type: Choice,
    /// Whether records that differ are read from Zoho again and written; the default is `false`
    #[serde(default)]
    repair: bool,
}

/// Start a verification
///
/// A run starts for each requested entity type that is not being compared, and `active` names the others. The answer is
/// 409 if all of them are being compared. The runs are one verification, whose id is that of the first run.
#[utoipa::path(post, path = "/api/zoho/verify", tag = "verify", operation_id = "start_verification", request_body = VerifyBody,
    responses((status = 202, description = "the runs were created and start by themselves", body = dto::StartedVerification),
        (status = 409, response = dto::Conflict)))]
pub(crate) async fn start(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<VerifyBody>,
) -> Result<(StatusCode, Json<dto::StartedVerification>), Problem> {
    let entities = body.entity_type.entities(state.services.engine.registry())?;
    let request = Request { entities, repair: body.repair, requested_by: "api" };
    let started = state.verifications.start(&state.services, request).await?;
    let active: Vec<String> =
        started.active.iter().map(|run| format!("{} (run {})", run.entity_type, run.id)).collect();
    let document = dto::StartedVerification::of(started).ok_or_else(|| {
        let detail = format!("Already active: {}. Nothing was started.", active.join(", "));
        Problem::new(ProblemKind::Conflict, detail)
    })?;
    Ok((StatusCode::ACCEPTED, Json(document)))
}

/// The newest verification, which may still be running
#[utoipa::path(get, path = "/api/zoho/verify/latest", tag = "verify", operation_id = "get_latest_verification",
    responses((status = 200, description = "the report", body = dto::VerificationReport), (status = 404, response = dto::NotFound)))]
pub(crate) async fn latest(State(state): State<AppState>) -> Answer<dto::VerificationReport> {
    let report = state.verifications.latest().await?;
    report.map(|report| Json(report.into())).ok_or_else(|| {
        let detail = "There is no verification yet; start one with POST /api/zoho/verify.";
        Problem::new(ProblemKind::UnknownId, detail)
    })
}

/// One verification
#[utoipa::path(get, path = "/api/zoho/verify/{id}", tag = "verify", operation_id = "get_verification", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the report", body = dto::VerificationReport)))]
pub(crate) async fn show(
    State(state): State<AppState>,
    ApiId(id): ApiId,
) -> Answer<dto::VerificationReport> {
    Ok(Json(state.verifications.find(id).await?.into()))
}
