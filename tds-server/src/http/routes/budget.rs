//! What the limits of Zoho leave.

use axum::{Json, extract::State};

use crate::http::{dto, problem::Answer, state::AppState};

/// What the limits of Zoho leave: of the minute, of the day, for each lane, and for what waits
///
/// No call is made.
#[utoipa::path(get, path = "/api/zoho/budget", tag = "sync", operation_id = "get_budget",
    responses((status = 200, description = "the budget of calls", body = dto::CallBudget)))]
pub(crate) async fn show(State(state): State<AppState>) -> Answer<dto::CallBudget> {
    Ok(Json(state.activity.current_budget().await?.into()))
}
