//! Local changes on their way to Zoho.

use axum::{Json, extract::State};
use serde::Deserialize;
use tds_core::outbound::{EntryStatus, OutboxFilter};

use crate::http::{
    dto,
    extract::{ApiId, ApiQuery, filled, known_entity, limit, one_of},
    problem::Answer,
    state::AppState,
};

/// A selection of local changes.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OutboxQuery {
    /// Only changes with this status
    #[param(inline, value_type = Option<dto::LocalChangeStatus>)]
    status: Option<String>,
    /// Only changes of this entity type
    entity_type: Option<String>,
    /// Maximum number of changes; the default is 50
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Cursor of the page: the `next_cursor` of the previous page
    cursor: Option<String>,
}

/// Local changes with their pushes, newest first
#[utoipa::path(get, path = "/api/zoho/outbox", tag = "outbox", operation_id = "list_local_changes", params(OutboxQuery),
    responses((status = 200, description = "one page of local changes", body = dto::LocalChangePage)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<OutboxQuery>,
) -> Answer<dto::LocalChangePage> {
    let entity = filled(query.entity_type.as_deref());
    let filter = OutboxFilter {
        status: one_of("status", query.status.as_deref(), &EntryStatus::ALL, EntryStatus::as_str)?,
        entity: entity.map(|text| known_entity(state.services.engine.registry(), text)).transpose()?,
    };
    let limit = limit(query.limit.as_deref(), 50)?;
    let cursor = filled(query.cursor.as_deref());
    Ok(Json(state.local_changes.list(&filter, limit, cursor).await?.into()))
}

/// One local change with its push
#[utoipa::path(get, path = "/api/zoho/outbox/{id}", tag = "outbox", operation_id = "get_local_change",
    params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the local change", body = dto::LocalChange)))]
pub(crate) async fn show(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::LocalChange> {
    Ok(Json(state.local_changes.find(id).await?.into()))
}
