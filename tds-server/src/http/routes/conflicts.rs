//! Conflicts: fields that both sides changed.

use std::collections::BTreeMap;

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use serde_json::Value;
use tds_core::outbound::{ConflictStatus, Resolution, Take};

use crate::{
    app::directions::take_name,
    http::{
        auth::Operator,
        dto,
        extract::{ApiId, ApiJson, ApiQuery, filled, known_entity, limit, one_of},
        problem::{Answer, Problem},
        state::AppState,
    },
};

/// A selection of conflicts.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConflictQuery {
    /// Only conflicts with this status
    #[param(inline, value_type = Option<dto::ConflictStatusName>)]
    status: Option<String>,
    /// Only conflicts of this entity type
    entity_type: Option<String>,
    /// Maximum number of conflicts; the default is 50
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Cursor of the page: the `next_cursor` of the previous page
    cursor: Option<String>,
}

/// The decision of a person.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolutionBody {
    // With `merge`, `fields` has to name a value for every field of the conflict.
    #[schema(inline, value_type = dto::TakeName, example = "zoho")]
    take: String,
    /// The values of single fields, whatever `take` says. With `merge`, every field of the conflict needs a value. A field
    /// of a child row takes a value of one of the two sides
    #[serde(default)]
    fields: BTreeMap<String, Value>,
}

/// Conflicts, newest first
#[utoipa::path(get, path = "/api/zoho/conflicts", tag = "outbox", operation_id = "list_conflicts", params(ConflictQuery),
    responses((status = 200, description = "one page of conflicts", body = dto::ConflictPage)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<ConflictQuery>,
) -> Answer<dto::ConflictPage> {
    let status = one_of("status", query.status.as_deref(), &ConflictStatus::ALL, ConflictStatus::as_str)?;
    let entity = filled(query.entity_type.as_deref());
    let entity = entity.map(|text| known_entity(state.services.engine.registry(), text)).transpose()?;
    let limit = limit(query.limit.as_deref(), 50)?;
    let cursor = filled(query.cursor.as_deref());
    Ok(Json(state.local_changes.conflicts(status, entity.as_ref(), limit, cursor).await?.into()))
}

/// One conflict with the three versions of each field
#[utoipa::path(get, path = "/api/zoho/conflicts/{id}", tag = "outbox", operation_id = "get_conflict",
    params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the conflict", body = dto::RecordConflict)))]
pub(crate) async fn show(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::RecordConflict> {
    Ok(Json(state.local_changes.conflict(id).await?.into()))
}

/// Decide a conflict
///
/// The push of the record continues with the decision. The versions that lost are kept.
#[utoipa::path(post, path = "/api/zoho/conflicts/{id}/resolve", tag = "outbox", operation_id = "resolve_conflict",
    params(("id" = i64, Path, minimum = 1)), request_body = ResolutionBody,
    responses((status = 200, description = "the decided conflict", body = dto::RecordConflict),
        (status = 409, response = dto::Conflict)))]
pub(crate) async fn resolve(
    State(state): State<AppState>,
    ApiId(id): ApiId,
    Extension(operator): Extension<Operator>,
    ApiJson(body): ApiJson<ResolutionBody>,
) -> Answer<dto::RecordConflict> {
    let take = one_of("take", Some(&body.take), &Take::ALL, take_name)?;
    let take = take.ok_or_else(|| Problem::invalid("take must be zoho, erp or merge."))?;
    let resolution = Resolution { take, fields: body.fields, by: operator.0 };
    Ok(Json(state.local_changes.resolve(id, &resolution).await?.into()))
}
