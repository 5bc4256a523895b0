//! What the configuration costs in calls a day.

use axum::{Json, extract::State};

use crate::{
    app::plan::plan,
    http::{dto, problem::Answer, state::AppState},
};

/// What the configuration costs in calls a day, by lane
///
/// Computed from the schedules, the known numbers of records, the last runs and the last webhooks. No call is made.
#[utoipa::path(get, path = "/api/zoho/plan", tag = "sync", operation_id = "get_plan",
    responses((status = 200, description = "the expected calls of a day", body = dto::CostPlan)))]
pub(crate) async fn show(State(state): State<AppState>) -> Answer<dto::CostPlan> {
    Ok(Json(plan(&state.services, &state.settings.costs).await?.into()))
}
