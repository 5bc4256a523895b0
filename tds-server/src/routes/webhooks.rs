//! Zoho's webhooks: size, signature, inbox; then 200, whatever the body says.

mod authentic;
mod paths;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, Uri},
};
use serde::Serialize;
use serde_json::{Map, Value};
use tds_core::{Disposition, EntityType, ErrorKind, EventView, NewEvent, event_id};
use tds_zoho::webhook::{Parsed, event_type, parse};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::Instant;

pub(crate) use self::paths::SYNC_ALIASES;
use crate::{
    metrics::WebhookResult,
    openapi::schemas,
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// Headers that are never stored: they carry secrets.
const SECRET_HEADERS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "x-zoho-webhook-signature", "x-webhook-key"];

/// The answer to an authentic webhook.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Receipt {
    /// `accepted`, `ignored` or `unparsed`
    #[schema(example = "accepted")]
    status: &'static str,
    /// Identity of the delivery
    event_id: String,
    /// Its row in the inbox
    inbox_event_id: i64,
    /// The same delivery was there before
    duplicate: bool,
}

/// Receive a webhook of Zoho
///
/// Signed with `X-Zoho-Webhook-Signature`. `event` states what happened, `updated` where absent.
#[utoipa::path(post, path = "/api/zoho/webhooks/{entity}", tag = "webhooks",
    params(
        ("entity" = String, Path, description = "products, customers, invoices, bills, credit-notes, stock or prices"),
        ("event" = Option<String>, Query, description = "created, updated or deleted"),
    ),
    request_body(content = String, description = "what Zoho sends, JSON or form", content_type = "application/json"),
    responses(
    (status = 200, description = "kept", body = Receipt),
    (status = 401, response = schemas::InvalidSignature),
    (status = 404, response = schemas::NotFound),
    (status = 413, response = schemas::TooLarge),
    (status = 415, response = schemas::Encoding),
    (status = 503, response = schemas::Unavailable),
))]
pub(crate) async fn receive(
    State(state): State<AppState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Receipt>, Problem> {
    let entity = paths::of_contract(&name).ok_or_else(|| unknown_path(&name))?;
    take(&state, entity, headers, uri, body).await
}

/// Receive a webhook at the predecessor's address
#[utoipa::path(post, path = "/api/tds/webhooks/{entity}", tag = "webhooks",
    params(
        ("entity" = String, Path, description = "products, customers, vendors, invoices, stock, prices; orders, payments and users are kept and ignored"),
        ("event" = Option<String>, Query, description = "created, updated or deleted"),
    ),
    request_body(content = String, description = "what Zoho sends, JSON or form", content_type = "application/json"),
    responses(
    (status = 200, description = "kept", body = Receipt),
    (status = 401, response = schemas::InvalidSignature),
    (status = 404, response = schemas::NotFound),
    (status = 413, response = schemas::TooLarge),
    (status = 415, response = schemas::Encoding),
    (status = 503, response = schemas::Unavailable),
))]
pub(crate) async fn receive_tds_alias(
    State(state): State<AppState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Receipt>, Problem> {
    let entity = paths::of_predecessor(&name).ok_or_else(|| unknown_path(&name))?;
    take(&state, entity, headers, uri, body).await
}

/// The addresses `/api/zoho/sync-…` of the predecessor.
pub(crate) async fn receive_sync_alias(
    State(state): State<AppState>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Receipt>, Problem> {
    let name = uri.path().rsplit_once("/sync-").map(|(_, name)| name.to_owned()).unwrap_or_default();
    let entity = paths::of_contract(&name).ok_or_else(|| unknown_path(&name))?;
    take(&state, entity, headers, uri, body).await
}

/// What an event's body says, read once more.
pub(crate) fn understand_again(organization: &str, event: &EventView) -> Disposition {
    let body = event.raw_payload.as_deref().unwrap_or_default();
    parse(&event.entity_type, &event.event_type, organization, body, event.received_at).disposition
}

/// How the answer calls what follows from an event.
pub(crate) fn status_of(disposition: &Disposition) -> &'static str {
    match disposition {
        Disposition::Work(_) => "accepted",
        Disposition::Ignored(_) => "ignored",
        Disposition::Unparsed(_) => "unparsed",
    }
}

fn unknown_path(name: &str) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("There is no webhook path {name:?}."))
}

async fn take(
    state: &AppState,
    entity: EntityType,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Receipt>, Problem> {
    let began = Instant::now();
    let taken = keep(state, entity, &headers, &uri, &body).await;
    let result = match &taken {
        Ok(receipt) if receipt.duplicate => WebhookResult::Duplicate,
        Ok(receipt) if receipt.status == "ignored" => WebhookResult::Ignored,
        Ok(receipt) if receipt.status == "unparsed" => WebhookResult::Unparsed,
        Ok(_) => WebhookResult::Accepted,
        Err(problem) if problem.kind() == ProblemKind::InvalidSignature => WebhookResult::Unauthorized,
        Err(problem) if problem.kind() == ProblemKind::Unavailable => WebhookResult::Unavailable,
        Err(_) => WebhookResult::Refused,
    };
    state.metrics.webhook(result, began.elapsed());
    taken.map(Json)
}

async fn keep(
    state: &AppState,
    entity: EntityType,
    headers: &HeaderMap,
    uri: &Uri,
    body: &[u8],
) -> Result<Receipt, Problem> {
    let pairs = authentic::query_pairs(uri);
    authentic::check(&state.webhooks, headers, &pairs, body)?;
    let event_type =
        event_type(pairs.iter().find(|(name, _)| name == "event").map(|(_, value)| value.as_str()));
    let received_at = state.services.clock.now();
    let organization = state.services.zoho.organization_id();
    let parsed = parse(&entity, event_type, organization, body, received_at);
    let status = status_of(&parsed.disposition);
    let event = NewEvent {
        event_id: identity(&entity, event_type, body, &parsed, received_at),
        source_type: "zoho".to_owned(),
        entity_type: entity,
        entity_id: parsed.entity_id,
        event_type: event_type.to_owned(),
        raw_payload: body.to_vec(),
        headers: stored_headers(headers),
        disposition: parsed.disposition,
    };
    let (event_id, entity) = (event.event_id.clone(), event.entity_type.clone());
    let accepted = state.services.inbox.accept(event).await.map_err(not_kept)?;
    tracing::info!(
        inbox_event = accepted.id.0, event_id, %entity, status, duplicate = accepted.duplicate, bytes = body.len(),
        "webhook kept"
    );
    Ok(Receipt { status, event_id, inbox_event_id: accepted.id.0, duplicate: accepted.duplicate })
}

/// A body that states no version is never a duplicate: its identity covers its receipt, too.
fn identity(
    entity: &EntityType,
    event_type: &str,
    body: &[u8],
    parsed: &Parsed,
    received_at: OffsetDateTime,
) -> String {
    if parsed.has_version {
        return event_id(entity, event_type, body, None);
    }
    let at = received_at.format(&Rfc3339).unwrap_or_default();
    event_id(entity, event_type, body, Some(&format!("{at} {}", uuid::Uuid::new_v4())))
}

/// Whatever kept the event from being kept: Zoho may only be told to send it again.
fn not_kept(error: tds_core::Error) -> Problem {
    match error.kind() {
        ErrorKind::Unavailable => tracing::warn!(error = %error.chain(), "a webhook could not be kept"),
        _ => tracing::error!(error = %error.chain(), "a webhook could not be kept"),
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
