//! Counts and delays of the queue.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Serialize;
use tds_core::{queue::QueueStats, record::EntityType};

use crate::{
    app::{
        activity::EntityActivity,
        budget::{self, ApiBudget},
    },
    http::{openapi::schemas, problem::Problem, state::AppState},
};

/// The answer of `GET /api/zoho/sync/stats`.
#[derive(Serialize)]
pub(crate) struct Stats {
    #[serde(flatten)]
    queue: QueueStats,
    api_budget: ApiBudget,
    activity: BTreeMap<EntityType, EntityActivity>,
}

/// Counts and delays of the queue, by entity type
#[utoipa::path(get, path = "/api/zoho/sync/stats", tag = "sync", operation_id = "get_stats", security(("bearer" = [])), responses(
    (status = 200, description = "counts of this moment, delays of the last 24 hours", body = schemas::Stats),
    (status = 401, response = schemas::Unauthorized),
))]
pub(crate) async fn show(State(state): State<AppState>) -> Result<Json<Stats>, Problem> {
    let (queue, services) = (state.activity.stats().await?, &state.services);
    let (catalogue, registry) = (&services.catalogue, &services.registry);
    let now = services.clock.now();
    let api_budget = budget::look(&services.zoho, &queue, catalogue, registry, now).await?;
    Ok(Json(Stats { queue, api_budget, activity: state.activity.recent().await?.entities.clone() }))
}
