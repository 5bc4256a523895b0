//! Zoho's webhooks: the size is checked, then the signature, then the event is stored in the inbox. The answer is then
//! 200, whatever the body says.

mod authentic;
mod paths;
mod refusals;

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use tds_core::{error::ErrorKind, inbox::NewEvent, record::EntityType};
use tds_zoho::webhook::{Event, Received, event_type, parse, query_pairs};
use tokio::time::Instant;

pub(crate) use self::{
    paths::{CONTRACT_ADDRESS, PREDECESSOR_ADDRESS, SYNC_ADDRESS, UNHANDLED, predecessor_names},
    refusals::Refusals,
};
use crate::{
    app::events::Reception,
    http::{
        dto,
        metrics::WebhookResult,
        problem::{Problem, ProblemKind},
        state::AppState,
    },
};

/// Headers that are never stored, because they carry secrets.
const SECRET_HEADERS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "x-zoho-webhook-signature", "x-webhook-key"];

/// The answer to an authentic webhook.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Receipt {
    #[schema(inline, value_type = dto::ReceiptStatus)]
    status: &'static str,
    /// The identity of the delivery
    event_id: String,
    /// The id of the event in the inbox
    inbox_event_id: i64,
    /// Whether the same delivery was received before
    duplicate: bool,
}

/// The result and the duration of a webhook request, for the metrics.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) result: WebhookResult,
    pub(crate) elapsed: Duration,
}

/// Returns `true` for the addresses of webhooks, as the router spells them.
pub(crate) fn is_address(route: &str) -> bool {
    let route = route.strip_suffix('/').unwrap_or(route);
    route == CONTRACT_ADDRESS || route == PREDECESSOR_ADDRESS || route.starts_with(SYNC_ADDRESS)
}

/// Receive a webhook of Zoho
///
/// Signed with `X-Zoho-Webhook-Signature`. `event` states what happened, `updated` where absent. An empty body is enough
/// where the address names the record by the id key of its module, as in `?invoice_id=460000000567114`. A slash at the
/// end of the path does not matter.
#[utoipa::path(post, path = "/api/zoho/webhooks/{entity}", tag = "webhooks", operation_id = "receive_webhook",
    params(
        ("entity" = String, Path, description = "What the rule in Zoho watches"),
        ("event" = inline(Option<dto::EventName>), Query, description = "What happened to the record; the default is `updated`"),
    ),
    request_body(content = String, description = "the body that Zoho sends, as JSON or as a form", content_type = "application/json"),
    responses(
    (status = 200, description = "kept", body = Receipt),
    (status = 401, response = dto::InvalidSignature),
    (status = 404, response = dto::NotFound),
    (status = 413, response = dto::TooLarge),
    (status = 415, response = dto::Encoding),
    (status = 503, response = dto::Unavailable),
))]
pub(crate) async fn receive(
    State(state): State<AppState>,
    method: Method,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    take(
        &state,
        paths::of_contract(&state.services.catalogue, &name),
        Delivery { method, headers, uri, body },
    )
    .await
}

/// Receive a webhook at the predecessor's address
#[utoipa::path(post, path = "/api/tds/webhooks/{entity}", tag = "webhooks", operation_id = "receive_webhook_tds_alias",
    params(
        ("entity" = String, Path,
            description = "The module that the rule in Zoho watches; webhooks of orders, payments and users are \
                           stored and ignored"),
        ("event" = inline(Option<dto::EventName>), Query, description = "What happened to the record; the default is `updated`"),
    ),
    request_body(content = String, description = "the body that Zoho sends, as JSON or as a form", content_type = "application/json"),
    responses(
    (status = 200, description = "kept", body = Receipt),
    (status = 401, response = dto::InvalidSignature),
    (status = 404, response = dto::NotFound),
    (status = 413, response = dto::TooLarge),
    (status = 415, response = dto::Encoding),
    (status = 503, response = dto::Unavailable),
))]
pub(crate) async fn receive_tds_alias(
    State(state): State<AppState>,
    method: Method,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    take(
        &state,
        paths::of_predecessor(&state.services.catalogue, &name),
        Delivery { method, headers, uri, body },
    )
    .await
}

/// Receives webhooks at the addresses `/api/zoho/sync-…` of the predecessor.
pub(crate) async fn receive_sync_alias(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    let name = uri.path().strip_prefix(SYNC_ADDRESS).unwrap_or_default();
    let entity = paths::of_contract(&state.services.catalogue, name.strip_suffix('/').unwrap_or(name));
    take(&state, entity, Delivery { method, headers, uri, body }).await
}

/// A webhook as it was received.
struct Delivery {
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
}

async fn take(state: &AppState, entity: Option<EntityType>, delivery: Delivery) -> Response {
    let began = Instant::now();
    let Some(entity) = entity else {
        let detail = "This is not a path for webhooks; /docs lists the paths.";
        return Problem::new(ProblemKind::NotFound, detail).into_response();
    };
    let kept = keep(state, entity, &delivery).await;
    let result = match &kept {
        Ok(receipt) if receipt.duplicate => WebhookResult::Duplicate,
        Ok(receipt) if receipt.status == "ignored" => WebhookResult::Ignored,
        Ok(receipt) if receipt.status == "unparsed" => WebhookResult::Unparsed,
        Ok(_) => WebhookResult::Accepted,
        Err(problem) if problem.kind() == ProblemKind::InvalidSignature => WebhookResult::Unauthorized,
        Err(problem) if problem.kind() == ProblemKind::Unavailable => WebhookResult::Unavailable,
        Err(_) => WebhookResult::Refused,
    };
    let mut response = kept.map(Json).into_response();
    response.extensions_mut().insert(Taken { result, elapsed: began.elapsed() });
    response
}

async fn keep(state: &AppState, entity: EntityType, delivery: &Delivery) -> Result<Receipt, Problem> {
    let Delivery { method, headers, uri, body } = delivery;
    let pairs = query_pairs(uri.query());
    let authentic = authentic::check(&state.webhooks, headers, &pairs, body)
        .map_err(|refusal| state.refusals.log(refusal, &state.webhooks, delivery))?;
    let stated = pairs.iter().find(|(name, _)| name == "event").map(|(_, value)| value.as_str());
    let event_type = if method == Method::DELETE { "deleted" } else { event_type(stated) };
    let received = Received {
        entity: &entity,
        event_type,
        organization_id: state.services.zoho.organization_id(),
        at: state.services.clock.now(),
        receipt: || uuid::Uuid::new_v4().to_string(),
    };
    let Event { identity: event_id, entity_id, disposition, .. } =
        parse(&state.services.catalogue, &authentic, &received);
    let reception = Reception::of(&disposition);
    let event = NewEvent {
        event_id: event_id.clone(),
        source_type: "zoho".to_owned(),
        entity_type: entity.clone(),
        entity_id,
        event_type: event_type.to_owned(),
        raw_payload: body.to_vec(),
        headers: stored_headers(headers),
        disposition,
    };
    let accepted = state.services.inbox.accept(event).await.map_err(not_kept)?;
    tracing::info!(
        inbox_event = accepted.id.0, event_id, %entity, status = reception.as_str(), duplicate = accepted.duplicate, bytes = body.len(),
        "webhook kept"
    );
    Ok(Receipt {
        status: reception.as_str(),
        event_id,
        inbox_event_id: accepted.id.0,
        duplicate: accepted.duplicate,
    })
}

/// Answers any failure to store an event with 503, so that Zoho sends the event again. No other answer is allowed.
fn not_kept(error: tds_core::error::Error) -> Problem {
    match error.kind() {
        ErrorKind::Unavailable => tracing::warn!(error = %error.chain(), "a webhook could not be stored"),
        _ => tracing::error!(error = %error.chain(), "a webhook could not be stored"),
    }
    Problem::new(ProblemKind::Unavailable, "The event could not be stored; send it again.").retry_after(5)
}

fn stored_headers(headers: &HeaderMap) -> Value {
    let mut stored = Map::new();
    for name in headers.keys().filter(|name| !SECRET_HEADERS.contains(&name.as_str())) {
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        stored.insert(name.as_str().to_owned(), Value::String(values.join(", ")));
    }
    Value::Object(stored)
}
