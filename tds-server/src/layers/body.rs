//! Bodies are read before the routes see them: at most so large, in at most so much time.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;

use crate::{
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// The largest body, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Replaces the body by one that is in memory.
pub(crate) async fn buffer_body(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let stated = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let too_large = stated.and_then(|length| length.parse::<u64>().ok()).is_some_and(exceeds);
    let read =
        if too_large { Err(problem_too_large()) } else { read_in_time(body, state.limits.body_time).await };
    match read {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(problem) => {
            let mut response = problem.into_response();
            // What was not read would be taken for the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

fn exceeds(length: u64) -> bool {
    usize::try_from(length).map_or(true, |length| length > MAX_BODY)
}

async fn read_in_time(body: Body, limit: Duration) -> Result<Bytes, Problem> {
    tokio::time::timeout(limit, read(body)).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} seconds.", limit.as_secs_f64());
        Err(Problem::new(ProblemKind::RequestTimeout, detail))
    })
}

/// Counts what really arrives, whatever `Content-Length` said.
async fn read(body: Body) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(ProblemKind::BadRequest, "The body ended early or is not well formed.")
        })?;
        if all.len() + chunk.len() > MAX_BODY {
            return Err(problem_too_large());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(all))
}

fn problem_too_large() -> Problem {
    Problem::new(ProblemKind::PayloadTooLarge, format!("A body may have at most {MAX_BODY} bytes."))
}
