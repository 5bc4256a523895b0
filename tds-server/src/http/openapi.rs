//! The OpenAPI document, which is made from the routes, and its viewer.

use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use tds_zoho::entities::Catalogue;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ObjectBuilder, OpenApi as Document, Ref, RefOr, Type,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::{
    dto,
    routes::{metrics, webhooks},
    state::AppState,
};

/// Swagger UI uses inline styles. Everything else is loaded from this server.
const VIEWER_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "TDS",
        description = "Keeps the PostgreSQL database of an ERP in step with Zoho Books and Zoho Inventory.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(metrics::show),
    components(schemas(dto::ProblemDocument), responses(
        dto::Unauthorized,
        dto::InvalidSignature,
        dto::NotFound,
        dto::Conflict,
        dto::Invalid,
        dto::Unreadable,
        dto::TooLarge,
        dto::Encoding,
        dto::Unavailable,
        dto::Upstream,
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

/// Returns the document without paths.
pub(crate) fn base() -> Document {
    Base::openapi()
}

/// Adds to every operator address what all of them share: the token and the error responses.
pub(crate) fn complete_operators(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let takes_body = operation.request_body.is_some();
            let takes_anything = takes_body || operation.parameters.is_some();
            let errors = [
                ("400", "Unreadable", takes_body),
                ("401", "Unauthorized", true),
                ("404", "NotFound", path.contains("{id}")),
                ("422", "Invalid", takes_anything),
            ];
            for (status, name, _) in errors.into_iter().filter(|(_, _, answered)| *answered) {
                let response = RefOr::Ref(Ref::from_response_name(name));
                operation.responses.responses.insert(status.to_owned(), response);
            }
            operation.security = Some(vec![SecurityRequirement::new::<_, _, &str>("bearer", [])]);
        }
    }
}

/// Adds what the handlers of webhooks accept besides POST at their own address: PUT, DELETE, and the aliases
/// `/api/zoho/sync-…`. Also adds the names of the entity types in their addresses.
pub(crate) fn complete(mut document: Document, catalogue: &Catalogue) -> Document {
    let names = [
        (
            webhooks::CONTRACT_ADDRESS,
            "The module that the rule in Zoho watches, as the address of its webhook names it",
            catalogue.webhook_paths(),
        ),
        (
            webhooks::PREDECESSOR_ADDRESS,
            "The module that the rule in Zoho watches, as the address of the predecessor names it",
            webhooks::predecessor_names(catalogue),
        ),
    ];
    for (address, description, names) in names {
        let post = document.paths.paths.get_mut(address).and_then(|item| item.post.as_mut());
        let parameters = post.and_then(|post| post.parameters.as_mut()).into_iter().flatten();
        for parameter in parameters {
            let RefOr::T(parameter) = parameter else { continue };
            if parameter.name != "entity" {
                continue;
            }
            let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
            parameter.schema = Some(schema.enum_values(Some(names.clone())).into());
        }
    }
    let alias = format!("{}{{entity}}", webhooks::SYNC_ADDRESS);
    let own = document.paths.paths.get(webhooks::CONTRACT_ADDRESS).cloned();
    document.paths.paths.extend(own.map(|item| (alias.clone(), item)));
    for (address, suffix) in [
        (webhooks::CONTRACT_ADDRESS, ""),
        (webhooks::PREDECESSOR_ADDRESS, "_tds_alias"),
        (&alias, "_sync_alias"),
    ] {
        let Some(item) = document.paths.paths.get_mut(address) else { continue };
        let Some(post) = &mut item.post else { continue };
        post.operation_id = Some(format!("receive_webhook{suffix}"));
        let like = |verb: &str, summary: &str| {
            let mut operation = post.clone();
            operation.operation_id = Some(format!("{verb}_webhook{suffix}"));
            operation.summary = Some(summary.to_owned());
            operation
        };
        item.put = Some(like("put", "Receive a webhook by PUT, as by POST"));
        let mut delete = like("delete", "Receive a webhook by DELETE, as by POST with `event=deleted`");
        // A body is allowed but not required.
        delete.request_body = None;
        item.delete = Some(delete);
    }
    document
}

/// Returns the routes of `/openapi.json` and `/docs`.
pub(crate) fn routes(document: Document, catalogue: &Catalogue) -> Router<AppState> {
    let document = complete(document, catalogue);
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
