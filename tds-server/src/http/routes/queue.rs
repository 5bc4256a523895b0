//! Queue items and dead letters.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};
use tds_core::queue::{ItemFilter, ItemId, ItemStatus, ItemView, Page};

use super::inbox::older_than;
use crate::http::{
    extract::{ApiId, ApiJson, ApiQuery, filled, known_entity, limit, one_of},
    openapi::schemas,
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// The most ids in one call.
const MAX_IDS: usize = 10_000;

/// Which items.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ItemQuery {
    /// Only of this status
    #[param(inline, value_type = Option<schemas::QueueStatus>)]
    status: Option<String>,
    /// Only of this entity type
    entity_type: Option<String>,
    /// Only with this text in the record id or the error
    search: Option<String>,
    /// Only queued at least this long ago, such as `1h`
    #[param(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    older_than: Option<String>,
    /// How many; 50 where absent
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Where to go on: `next_cursor` of the page before
    cursor: Option<String>,
}

/// Items by id, or by what they have in common.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemChoice {
    /// These items
    #[schema(max_items = 10_000)]
    ids: Option<Vec<i64>>,
    /// Only of this status
    #[schema(inline, value_type = Option<schemas::QueueStatus>, example = "dead_letter")]
    status: Option<String>,
    /// Only of this entity type
    entity_type: Option<String>,
    /// Only with this text in the record id or the error
    search: Option<String>,
    /// Only queued at least this long ago, such as `1h`
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    older_than: Option<String>,
}

/// Queue items, newest first
#[utoipa::path(get, path = "/api/zoho/sync/queue", tag = "queue", operation_id = "list_items", security(("bearer" = [])), params(ItemQuery),
    responses(
    (status = 200, description = "one page of items", body = schemas::ItemPage),
    (status = 401, response = schemas::Unauthorized),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<ItemQuery>,
) -> Result<Json<Page<ItemView>>, Problem> {
    let limit = limit(query.limit.as_deref(), 50)?;
    let cursor = filled(query.cursor.as_deref()).map(str::to_owned);
    let choice = ItemChoice {
        ids: None,
        status: query.status,
        entity_type: query.entity_type,
        search: query.search,
        older_than: query.older_than,
    };
    let filter = filter(&state, choice)?;
    Ok(Json(state.services.queue.list(&filter, limit, cursor.as_deref()).await?))
}

/// One item with its payload and the history of its attempts
#[utoipa::path(get, path = "/api/zoho/sync/queue/{id}", tag = "queue", operation_id = "get_item", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "the item", body = schemas::QueueItem),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn show(State(state): State<AppState>, ApiId(id): ApiId) -> Result<Json<ItemView>, Problem> {
    existing(&state, id).await.map(Json)
}

/// Try an item again now, with its attempts counted anew
#[utoipa::path(post, path = "/api/zoho/sync/queue/{id}/retry", tag = "queue", operation_id = "retry_item", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "how many items changed", body = schemas::Affected),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn retry_one(
    State(state): State<AppState>,
    ApiId(id): ApiId,
) -> Result<Json<Value>, Problem> {
    existing(&state, id).await?;
    affected(state.services.queue.retry(&only(id)).await?)
}

/// Give an item up for good; its error is kept
#[utoipa::path(post, path = "/api/zoho/sync/queue/{id}/discard", tag = "queue", operation_id = "discard_item", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, description = "how many items changed", body = schemas::Affected),
    (status = 401, response = schemas::Unauthorized),
    (status = 404, response = schemas::NotFound),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn discard_one(
    State(state): State<AppState>,
    ApiId(id): ApiId,
) -> Result<Json<Value>, Problem> {
    existing(&state, id).await?;
    affected(state.services.queue.discard(&only(id)).await?)
}

/// Try items again now, by ids or by a filter
#[utoipa::path(post, path = "/api/zoho/sync/queue/retry", tag = "queue", operation_id = "retry_items", security(("bearer" = [])),
    request_body = ItemChoice, responses(
    (status = 200, description = "how many items changed", body = schemas::Affected),
    (status = 400, response = schemas::Unreadable),
    (status = 401, response = schemas::Unauthorized),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn retry_many(
    State(state): State<AppState>,
    ApiJson(choice): ApiJson<ItemChoice>,
) -> Result<Json<Value>, Problem> {
    let filter = chosen(&state, choice)?;
    affected(state.services.queue.retry(&filter).await?)
}

/// Give items up for good, by ids or by a filter
#[utoipa::path(post, path = "/api/zoho/sync/queue/discard", tag = "queue", operation_id = "discard_items", security(("bearer" = [])),
    request_body = ItemChoice, responses(
    (status = 200, description = "how many items changed", body = schemas::Affected),
    (status = 400, response = schemas::Unreadable),
    (status = 401, response = schemas::Unauthorized),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn discard_many(
    State(state): State<AppState>,
    ApiJson(choice): ApiJson<ItemChoice>,
) -> Result<Json<Value>, Problem> {
    let filter = chosen(&state, choice)?;
    affected(state.services.queue.discard(&filter).await?)
}

#[expect(clippy::unnecessary_wraps, reason = "the last expression of handlers that can fail")]
fn affected(count: u64) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({"affected": count})))
}

fn only(id: i64) -> ItemFilter {
    ItemFilter { ids: Some(vec![ItemId(id)]), ..ItemFilter::default() }
}

async fn existing(state: &AppState, id: i64) -> Result<ItemView, Problem> {
    let item = state.services.queue.get(ItemId(id)).await?;
    item.ok_or_else(|| Problem::new(ProblemKind::UnknownId, format!("There is no queue item {id}.")))
}

/// A change of many items must say which: an empty filter would mean all.
fn chosen(state: &AppState, choice: ItemChoice) -> Result<ItemFilter, Problem> {
    let filter = filter(state, choice)?;
    let says_nothing = filter.ids.is_none()
        && filter.status.is_none()
        && filter.entity.is_none()
        && filter.search.is_none()
        && filter.older_than.is_none();
    if says_nothing {
        return Err(Problem::invalid("Say which items: ids, status, entity_type, search or older_than."));
    }
    Ok(filter)
}

fn filter(state: &AppState, choice: ItemChoice) -> Result<ItemFilter, Problem> {
    if choice.ids.as_ref().is_some_and(|ids| ids.len() > MAX_IDS) {
        return Err(Problem::invalid(format!("ids may name at most {MAX_IDS} items.")));
    }
    let entity = filled(choice.entity_type.as_deref());
    Ok(ItemFilter {
        ids: choice.ids.map(|ids| ids.into_iter().map(ItemId).collect()),
        status: one_of("status", choice.status.as_deref(), &ItemStatus::ALL, ItemStatus::as_str)?,
        entity: entity.map(|text| known_entity(&state.services.registry, text)).transpose()?,
        search: filled(choice.search.as_deref()).map(str::to_owned),
        older_than: older_than(choice.older_than.as_deref())?,
    })
}
