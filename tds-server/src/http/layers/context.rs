//! The outermost layer: request id, log span, metrics, and the only place where problems are written.

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tds_core::measures::AnswerKind;
use tokio::time::Instant;
use tracing::Instrument;

use crate::http::{
    metrics::WebhookResult,
    problem::{Problem, ProblemKind},
    routes::webhooks::{self, Taken},
    state::AppState,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, and completes the headers and the problem document of the response.
pub(crate) async fn request_context(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let id = incoming_id(request.headers()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let began = Instant::now();
    let span = tracing::info_span!("request", request_id = %id, %method, route);

    let mut response = next.run(request).instrument(span.clone()).await;

    write_problem(&mut response, &id, &path);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));

    let elapsed = began.elapsed();
    state.metrics.request(&route, response.status(), elapsed);
    if let Some(kind) = kind_of(&route) {
        let is_fault = response.status().is_server_error();
        state.answers.add(state.services.clock.now(), kind, elapsed, is_fault);
    }
    match response.extensions_mut().remove::<Taken>() {
        Some(taken) => state.metrics.webhook(taken.result, taken.elapsed),
        // The request was too large or too slow, or had an unknown method or path. No handler of webhooks has seen it.
        None if webhooks::is_address(&route) => {
            state.metrics.webhook(WebhookResult::of_status(response.status()), elapsed);
        }
        None => {}
    }
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, elapsed_ms = elapsed.as_secs_f64() * 1_000.0, "answered"));
    response
}

/// Returns the kind of answer that a route gives. The time of answers to monitors, and of the files of the dashboard,
/// says nothing about the work of TDS.
fn kind_of(route: &str) -> Option<AnswerKind> {
    if webhooks::is_address(route) {
        Some(AnswerKind::Webhook)
    } else {
        route.starts_with("/api/").then_some(AnswerKind::Api)
    }
}

/// Returns the id that the client sent, if it is safe to write to a log.
fn incoming_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    ((1..=128).contains(&id.len()) && id.bytes().all(sane)).then(|| id.to_owned())
}

/// Writes the body of a problem. Errors of the router itself, such as 405, become problems as well.
fn write_problem(response: &mut Response, id: &str, path: &str) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        // The component report of an unhealthy server is not a problem document.
        None if is_json(response) => return,
        None => {
            let detail = status.canonical_reason().unwrap_or("The request failed.");
            Problem::new(ProblemKind::of_status(status), detail).with_status(status)
        }
    };
    let body = problem.render(id, path);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
}

fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}
