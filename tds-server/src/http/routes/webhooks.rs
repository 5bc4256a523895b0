//! The addresses of Zoho's webhooks. The answer to an authentic webhook is 200, whatever the body says.

mod paths;

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{MatchedPath, RawPathParams, State},
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

pub(crate) use self::paths::{CONTRACT_ADDRESS, PREDECESSOR_ADDRESS, SYNC_ADDRESS, predecessor_names};
use crate::{
    app::webhooks::{Delivery, NotKept},
    http::{
        dto,
        metrics::WebhookResult,
        problem::{Problem, ProblemKind},
        state::AppState,
    },
};

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

/// Receive a webhook from Zoho
///
/// The delivery is signed with `X-Zoho-Webhook-Signature`. `event` states what happened; the default is `updated`. An
/// empty body is enough if the address names the record by the id key of its module, as in
/// `?invoice_id=460000000567114`. A trailing slash of the path is ignored.
#[utoipa::path(post, path = "/api/zoho/webhooks/{entity}", tag = "webhooks", operation_id = "receive_webhook",
    params(
        ("entity" = String, Path, description = "What the rule in Zoho watches"),
        ("event" = inline(Option<dto::EventName>), Query, description = "What happened to the record; the default is `updated`"),
    ),
    request_body(content = String, description = "the body that Zoho sends, as JSON or as a form", content_type = "application/json"),
    responses(
    (status = 200, description = "kept", body = dto::Receipt),
    (status = 401, response = dto::InvalidSignature),
    (status = 404, response = dto::NotFound),
    (status = 413, response = dto::TooLarge),
    (status = 415, response = dto::Encoding),
    (status = 503, response = dto::Unavailable),
))]
pub(crate) async fn receive(
    State(state): State<AppState>,
    route: MatchedPath,
    names: RawPathParams,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    let began = Instant::now();
    let name = names.iter().next().map(|(_, name)| name);
    let Some(entity) = paths::entity(&state.services.catalogue, route.as_str(), name) else {
        let detail = "This is not a path for webhooks; /docs lists the paths.";
        return Problem::new(ProblemKind::NotFound, detail).into_response();
    };
    let kept = state.webhooks.receive(Delivery { entity, method, uri, headers, body }).await;
    let result = WebhookResult::of(&kept);
    let answer = kept.map(|kept| Json(dto::Receipt::from(kept))).map_err(Problem::from);
    let mut response = answer.into_response();
    response.extensions_mut().insert(Taken { result, elapsed: began.elapsed() });
    response
}

impl From<NotKept> for Problem {
    fn from(reason: NotKept) -> Self {
        match reason {
            NotKept::Encoded => {
                Self::new(ProblemKind::UnsupportedMediaType, "Send the body without Content-Encoding.")
            }
            NotKept::NotConfigured => {
                let detail =
                    "Set ZOHO_WEBHOOK_SECRET; until then, webhooks cannot be verified and are not accepted.";
                Self::new(ProblemKind::WebhooksNotConfigured, detail).retry_after(60)
            }
            NotKept::NotAuthentic { reason, .. } => {
                let detail = format!("The webhook was not accepted: {reason}.");
                Self::new(ProblemKind::InvalidSignature, detail)
            }
            // Zoho sends the event again after any failure to store it. No other answer is allowed.
            NotKept::NotStored => Self::unavailable("The event could not be stored; send it again."),
        }
    }
}
