//! The OpenAPI document, made from the routes, and its viewer.

pub(crate) mod schemas;

use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{router, state::AppState};

/// Swagger UI styles elements in place; everything else comes from here.
const VIEWER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "TDS",
        description = "Keeps an ERP's PostgreSQL database in step with Zoho Books and Zoho Inventory.\n\n\
            The predecessor's addresses `/api/zoho/sync-products`, `…-customers`, `…-invoices`, `…-bills`, \
            `…-credit-notes`, `…-stock` and `…-prices` take webhooks, too.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(schemas::ProblemDocument), responses(
        schemas::Unauthorized,
        schemas::InvalidSignature,
        schemas::NotFound,
        schemas::Conflict,
        schemas::Invalid,
        schemas::Unreadable,
        schemas::TooLarge,
        schemas::Encoding,
        schemas::Unavailable,
        schemas::Upstream,
    )),
    modifiers(&Bearer),
)]
struct Base;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document without paths.
pub(crate) fn base() -> Document {
    Base::openapi()
}

/// The whole document (OpenAPI 3.1).
#[must_use]
pub fn document() -> Document {
    router::documented().merged().into_openapi()
}

/// `/openapi.json` and `/docs`.
pub(crate) fn routes(document: Document) -> Router<AppState> {
    let viewer = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let viewer: Router<AppState> = viewer.into();
    let show = move || async move { Json(document) };
    viewer.layer(middleware::from_fn(with_policy)).route("/openapi.json", get(show))
}

async fn with_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(VIEWER_POLICY));
    response
}
