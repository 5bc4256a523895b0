//! Queue items and dead letters.

use axum::{Json, extract::State};
use serde::Deserialize;
use tds_core::queue::{ItemFilter, ItemId, ItemStatus};

use crate::{
    app::items::Change,
    http::{
        dto,
        extract::{
            ApiId, ApiJson, ApiOptionalJson, ApiQuery, DryRunBody, filled, known_entity, limit, older_than,
            one_of,
        },
        problem::{Answer, Problem},
        state::AppState,
    },
};

/// The maximum number of ids in one call.
const MAX_IDS: usize = 10_000;

/// A selection of items.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ItemQuery {
    /// Only items with this status
    #[param(inline, value_type = Option<dto::QueueStatus>)]
    status: Option<String>,
    /// Only items of this entity type
    entity_type: Option<String>,
    /// Only items with this text in the record id or in the error
    search: Option<String>,
    /// Only items that were enqueued at least this long ago, such as `1h`
    #[param(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    older_than: Option<String>,
    /// Maximum number of items; the default is 50
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Cursor of the page: the `next_cursor` of the previous page
    cursor: Option<String>,
}

/// Items, selected by id or by filters.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemChoice {
    /// Only items with these ids
    #[schema(max_items = 10_000)]
    ids: Option<Vec<i64>>,
    /// Only items with this status
    #[schema(inline, value_type = Option<dto::QueueStatus>, example = "dead_letter")]
    status: Option<String>,
    /// Only items of this entity type
    entity_type: Option<String>,
    /// Only items with this text in the record id or in the error
    search: Option<String>,
    /// Only items that were enqueued at least this long ago, such as `1h`
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d)$")]
    older_than: Option<String>,
}

/// Queue items, newest first
#[utoipa::path(get, path = "/api/zoho/sync/queue", tag = "queue", operation_id = "list_items", params(ItemQuery),
    responses((status = 200, description = "one page of items", body = dto::ItemPage)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    ApiQuery(query): ApiQuery<ItemQuery>,
) -> Answer<dto::ItemPage> {
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
    Ok(Json(state.items.list(&filter, limit, cursor.as_deref()).await?.into()))
}

/// One item with its payload and the history of its attempts
#[utoipa::path(get, path = "/api/zoho/sync/queue/{id}", tag = "queue", operation_id = "get_item", params(("id" = i64, Path, minimum = 1)),
    responses((status = 200, description = "the item", body = dto::QueueItem)))]
pub(crate) async fn show(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::QueueItem> {
    Ok(Json(state.items.find(id).await?.into()))
}

/// Retry an item now and reset its attempts, or say what that would do
#[utoipa::path(post, path = "/api/zoho/sync/queue/{id}/retry", tag = "queue", operation_id = "retry_item",
    params(("id" = i64, Path, minimum = 1)), request_body = Option<DryRunBody>,
    responses((status = 200, description = "the number of changed items; with dry_run, nothing is written, and the answer \
        says what would change", body = dto::RetryAnswer)))]
pub(crate) async fn retry_one(
    State(state): State<AppState>,
    ApiId(id): ApiId,
    ApiOptionalJson(body): ApiOptionalJson<DryRunBody>,
) -> Answer<dto::RetryAnswer> {
    if body.dry_run {
        return Ok(Json(dto::RetryAnswer::Dry(state.dry_run.retry(id).await?.into())));
    }
    Ok(Json(dto::RetryAnswer::Done(state.items.change_one(Change::Retry, id).await?.into())))
}

/// Discard an item for good; its error is kept
#[utoipa::path(post, path = "/api/zoho/sync/queue/{id}/discard", tag = "queue", operation_id = "discard_item",
    params(("id" = i64, Path, minimum = 1)), responses((status = 200, description = "the number of changed items", body = dto::Affected)))]
pub(crate) async fn discard_one(State(state): State<AppState>, ApiId(id): ApiId) -> Answer<dto::Affected> {
    Ok(Json(state.items.change_one(Change::Discard, id).await?.into()))
}

/// Retry items now, by ids or by a filter
#[utoipa::path(post, path = "/api/zoho/sync/queue/retry", tag = "queue", operation_id = "retry_items", request_body = ItemChoice,
    responses((status = 200, description = "the number of changed items", body = dto::Affected)))]
pub(crate) async fn retry_many(
    State(state): State<AppState>,
    ApiJson(choice): ApiJson<ItemChoice>,
) -> Answer<dto::Affected> {
    let filter = filter(&state, choice)?;
    Ok(Json(state.items.change(Change::Retry, &filter).await?.into()))
}

/// Discard items for good, by ids or by a filter
#[utoipa::path(post, path = "/api/zoho/sync/queue/discard", tag = "queue", operation_id = "discard_items", request_body = ItemChoice,
    responses((status = 200, description = "the number of changed items", body = dto::Affected)))]
pub(crate) async fn discard_many(
    State(state): State<AppState>,
    ApiJson(choice): ApiJson<ItemChoice>,
) -> Answer<dto::Affected> {
    let filter = filter(&state, choice)?;
    Ok(Json(state.items.change(Change::Discard, &filter).await?.into()))
}

fn filter(state: &AppState, choice: ItemChoice) -> Result<ItemFilter, Problem> {
    if choice.ids.as_ref().is_some_and(|ids| ids.len() > MAX_IDS) {
        return Err(Problem::invalid(format!("ids may name at most {MAX_IDS} items.")));
    }
    let entity = filled(choice.entity_type.as_deref());
    Ok(ItemFilter {
        ids: choice.ids.map(|ids| ids.into_iter().map(ItemId).collect()),
        status: one_of("status", choice.status.as_deref(), &ItemStatus::ALL, ItemStatus::as_str)?,
        entity: entity.map(|text| known_entity(state.services.engine.registry(), text)).transpose()?,
        search: filled(choice.search.as_deref()).map(str::to_owned),
        older_than: older_than(choice.older_than.as_deref())?,
    })
}
