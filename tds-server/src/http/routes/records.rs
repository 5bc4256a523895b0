//! Records and what happened to them.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use tds_core::record::RecordId;

use crate::http::{
    dto,
    extract::{ApiQuery, known_entity, limit_up_to},
    problem::Answer,
    state::AppState,
};

/// The maximum number of events in one answer, and the default.
const MOST: usize = 1_000;
const DEFAULT: usize = 200;

/// How much of a history is shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Maximum number of events, of which the newest are shown; the default is 200
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200)]
    limit: Option<String>,
}

/// Everything that happened to a record
///
/// Deliveries, reads, writes, failed attempts and what operators did, with versions, the decisions of the guard against
/// stale writes, and what changed. Rows older than `TDS_RETENTION` are deleted.
#[utoipa::path(get, path = "/api/zoho/records/{entity}/{zoho_id}/history", tag = "sync", operation_id = "get_record_history",
    params(("entity" = String, Path, description = "The entity type, such as `invoices`"),
        ("zoho_id" = String, Path, description = "The id of the record in Zoho"), HistoryQuery),
    responses((status = 200, description = "the record and its history, oldest first", body = dto::RecordHistory)))]
pub(crate) async fn history(
    State(state): State<AppState>,
    Path((entity, zoho_id)): Path<(String, String)>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Answer<dto::RecordHistory> {
    let entity = known_entity(state.services.engine.registry(), &entity)?;
    let limit = limit_up_to(query.limit.as_deref(), DEFAULT, MOST)?;
    Ok(Json(state.explain.record(&entity, &RecordId::new(zoho_id), limit).await?.into()))
}
