//! Limits the damage and the duration of a request: no request ends the process, and none runs without a time limit.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use crate::{
    http::{
        problem::{Problem, ProblemKind},
        state::AppState,
    },
    telemetry::panic_text,
};

/// Turns a panic into an answer 500 of this request alone.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|panic| {
        let text = panic_text(panic.as_ref());
        tracing::error!(panic = text, "a request handler panicked");
        Problem::new(ProblemKind::Internal, "The log has the details under this request id.").into_response()
    })
}

/// Ends requests that take too long.
pub(crate) async fn time_limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let limit = state.settings.limits.request_time;
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("The request had no result within {} seconds.", limit.as_secs_f64());
        Problem::new(ProblemKind::Timeout, detail).retry_after(5).into_response()
    })
}
