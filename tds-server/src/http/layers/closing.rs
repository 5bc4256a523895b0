//! While the server stops, each answer closes its connection: a proxy then sends its next request to another server,
//! instead of on a connection that is about to close.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header::CONNECTION},
    middleware::Next,
    response::Response,
};

use crate::http::state::AppState;

/// Adds `Connection: close` to the answers of a server that stops.
pub(crate) async fn close_when_draining(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if state.is_draining() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
