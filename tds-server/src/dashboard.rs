//! The operator's pages: files in the binary, which use only the public API.

use axum::{
    Router,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::http::state::AppState;

/// Content is loaded from this server only, inline content is refused, and no other page may frame the dashboard.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const PAGE: &[u8] = include_bytes!("dashboard/assets/index.html");
const STYLE: &[u8] = include_bytes!("dashboard/assets/app.css");
const SCRIPT: &[u8] = include_bytes!("dashboard/assets/app.js");
const CONFLICTS: &[u8] = include_bytes!("dashboard/assets/conflicts.html");
const CONFLICTS_SCRIPT: &[u8] = include_bytes!("dashboard/assets/conflicts.js");
const READINESS: &[u8] = include_bytes!("dashboard/assets/readiness.html");
const READINESS_SCRIPT: &[u8] = include_bytes!("dashboard/assets/readiness.js");

/// Returns the routes of `/`, of `/conflicts`, of `/readiness` and of the files that they load.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(|| async { file("text/html; charset=utf-8", PAGE) }))
        .route("/conflicts", get(|| async { file("text/html; charset=utf-8", CONFLICTS) }))
        .route(
            "/assets/conflicts.js",
            get(|| async { file("text/javascript; charset=utf-8", CONFLICTS_SCRIPT) }),
        )
        .route("/readiness", get(|| async { file("text/html; charset=utf-8", READINESS) }))
        .route(
            "/assets/readiness.js",
            get(|| async { file("text/javascript; charset=utf-8", READINESS_SCRIPT) }),
        )
        .route("/assets/app.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route("/assets/app.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
}

fn file(content_type: &'static str, content: &'static [u8]) -> Response {
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The files change only with the program. A revalidation costs almost nothing on a local network.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
