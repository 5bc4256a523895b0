//! Records and what happened to them.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use tds_core::{history::HistoryWindow, record::RecordId};

use crate::{
    app::runs::parse_since,
    http::{
        dto,
        extract::{ApiQuery, filled, known_entity, limit},
        problem::{Answer, Problem},
        state::AppState,
    },
};

/// How much of a history is shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Maximum number of events, of which the newest are shown; the default is 200
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 200)]
    limit: Option<String>,
    /// Only events before this time, such as the `at` of the first event of the page after them
    before: Option<String>,
}

/// Everything that happened to a record
///
/// Deliveries, reads, writes, failed attempts and what operators did, with versions, the decisions of the guard against
/// stale writes, and what changed. Rows older than `TDS_RETENTION` are deleted.
#[utoipa::path(get, path = "/api/zoho/records/{entity}/{zoho_id}/history", tag = "records", operation_id = "get_record_history",
    params(("entity" = String, Path, description = "The entity type, such as `invoices`"),
        ("zoho_id" = String, Path, description = "The id of the record in Zoho"), HistoryQuery),
    responses((status = 200, description = "the record and its history, oldest first", body = dto::RecordHistory)))]
pub(crate) async fn history(
    State(state): State<AppState>,
    Path((entity, zoho_id)): Path<(String, String)>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Answer<dto::RecordHistory> {
    let entity = known_entity(state.services.engine.registry(), &entity)?;
    let before = filled(query.before.as_deref()).map(|text| {
        let wrong =
            || Problem::invalid(format!("before must be a time such as 2026-11-20T08:00:00Z, not {text:?}."));
        parse_since(text).ok_or_else(wrong)
    });
    let window = HistoryWindow { limit: limit(query.limit.as_deref(), 200)?, before: before.transpose()? };
    Ok(Json(state.explain.record(&entity, &RecordId::new(zoho_id), &window).await?.into()))
}
