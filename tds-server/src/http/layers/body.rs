//! Reads bodies before the routes see them. The size and the time of each body are limited, and so is the memory of
//! all large bodies together.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::{
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// The largest body, in bytes. An invoice has about 2 kB for each of its lines.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// The bytes of each body that need no permit of the semaphore for large bodies. Small bodies are therefore read
/// whatever else is being received.
const SMALL_BODY: usize = 64 * 1024;

/// The number of permits for the next 64 KiB of a body: one permit for each byte.
const STEP: u32 = 64 * 1024;

/// Replaces the body of the request by one that is in memory.
pub(crate) async fn buffer_body(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let stated = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let too_large = stated.and_then(|length| length.parse::<u64>().ok()).is_some_and(exceeds);
    let read = if too_large {
        Err(problem_too_large())
    } else {
        read_in_time(body, state.settings.limits.body_time, &state.body_bytes).await
    };
    match read {
        Ok((bytes, place)) => {
            let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
            drop(place);
            response
        }
        Err(problem) => {
            let mut response = problem.into_response();
            // Unread bytes of the body would be taken for the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

fn exceeds(length: u64) -> bool {
    usize::try_from(length).map_or(true, |length| length > MAX_BODY)
}

/// A body, and the permits that it holds if it is large.
type Buffered = (Bytes, Option<OwnedSemaphorePermit>);

async fn read_in_time(body: Body, limit: Duration, places: &Arc<Semaphore>) -> Result<Buffered, Problem> {
    tokio::time::timeout(limit, read(body, places)).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} seconds.", limit.as_secs_f64());
        Err(Problem::new(ProblemKind::RequestTimeout, detail))
    })
}

/// Counts the bytes that really arrive, whatever `Content-Length` states. Permits are acquired for the bytes that have
/// arrived, not for the bytes that were announced: a client that sends nothing takes no memory.
async fn read(body: Body, places: &Arc<Semaphore>) -> Result<Buffered, Problem> {
    let mut stream = body.into_data_stream();
    let mut all = Vec::new();
    let (mut place, mut covered): (Option<OwnedSemaphorePermit>, usize) = (None, SMALL_BODY);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(ProblemKind::BadRequest, "The body ended early or is not well formed.")
        })?;
        if all.len() + chunk.len() > MAX_BODY {
            return Err(problem_too_large());
        }
        while all.len() + chunk.len() > covered {
            let more = Arc::clone(places).try_acquire_many_owned(STEP).map_err(|_| {
                Problem::unavailable("Too many large bodies are being received; send the request again.")
            })?;
            covered += SMALL_BODY;
            match &mut place {
                Some(place) => place.merge(more),
                None => place = Some(more),
            }
        }
        all.extend_from_slice(&chunk);
    }
    Ok((Bytes::from(all), place))
}

fn problem_too_large() -> Problem {
    let mebibytes = MAX_BODY / (1024 * 1024);
    Problem::new(
        ProblemKind::PayloadTooLarge,
        format!("A body may have at most {mebibytes} MiB ({MAX_BODY} bytes)."),
    )
}
