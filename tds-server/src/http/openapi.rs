//! The OpenAPI document, which is made from the routes, and its viewer.

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    routing::get,
};
use tds_zoho::entities::Catalogue;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        HttpMethod, ObjectBuilder, OpenApi as Document, PathItem, Ref, RefOr, Type,
        path::{Operation, Parameter},
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
        description = "Keeps the PostgreSQL database of an ERP in sync with Zoho Books and Zoho Inventory.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(metrics::show),
    components(schemas(dto::ProblemDocument), responses(
        dto::Unauthorized,
        dto::ReadOnlyToken,
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
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let tokens = "One of TDS_ADMIN_TOKEN, or one of TDS_VIEWER_TOKEN, which may only read";
        let scheme = scheme.description(Some(tokens)).build();
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
        let operations = [(&mut item.get, false), (&mut item.post, true), (&mut item.put, true)];
        for (operation, changes) in operations {
            let Some(operation) = operation else { continue };
            let takes_body = operation.request_body.is_some();
            let takes_anything = takes_body || operation.parameters.is_some();
            let errors = [
                ("400", "Unreadable", takes_body),
                ("401", "Unauthorized", true),
                ("403", "ReadOnlyToken", changes),
                ("404", "NotFound", path.contains("{id}") || path.contains("{zoho_id}")),
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

/// Adds what the handler of webhooks accepts besides POST at the documented address: PUT, DELETE, the predecessor's
/// address, and the aliases `/api/zoho/sync-…`. Also adds the names of the entity types in these addresses.
pub(crate) fn complete(mut document: Document, catalogue: &Catalogue) -> Document {
    let paths = &mut document.paths.paths;
    let mut entities: Vec<&str> = catalogue.names().collect();
    entities.sort_unstable();
    for parameter in paths.values_mut().filter_map(|item| item.get.as_mut()).flat_map(entity_parameters) {
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(entities.clone()));
        parameter.schema = Some(schema.into());
    }
    let Some(own) = paths.get(webhooks::CONTRACT_ADDRESS).and_then(|item| item.post.clone()) else {
        return document;
    };
    let mut predecessor = own.clone();
    predecessor.description = None;
    predecessor.summary = Some("Receive a webhook at the predecessor's address".to_owned());
    let watched = "The module that the rule in Zoho watches; webhooks of orders, payments and users are stored and ignored";
    for parameter in entity_parameters(&mut predecessor) {
        parameter.description = Some(watched.to_owned());
    }
    let alias = format!("{}{{entity}}", webhooks::SYNC_ADDRESS);
    let own_names = "The module that the rule in Zoho watches, as the address of its webhook names it";
    let others = "The module that the rule in Zoho watches, as the address of the predecessor names it";
    let predecessor_names = webhooks::predecessor_names(catalogue);
    for (address, mut post, suffix, description, names) in [
        (webhooks::CONTRACT_ADDRESS, own.clone(), "", own_names, catalogue.webhook_paths()),
        (webhooks::PREDECESSOR_ADDRESS, predecessor, "_tds_alias", others, predecessor_names),
        (&alias, own, "_sync_alias", own_names, catalogue.webhook_paths()),
    ] {
        for parameter in entity_parameters(&mut post) {
            let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
            parameter.schema = Some(schema.enum_values(Some(names.clone())).into());
        }
        let like = |verb: &str, summary: &str| {
            let mut operation = post.clone();
            operation.operation_id = Some(format!("{verb}_webhook{suffix}"));
            operation.summary = Some(summary.to_owned());
            operation
        };
        let put = like("put", "Receive a webhook by PUT, as by POST");
        let mut delete = like("delete", "Receive a webhook by DELETE, as by POST with `event=deleted`");
        // A body is allowed but not required.
        delete.request_body = None;
        post.operation_id = Some(format!("receive_webhook{suffix}"));
        let mut item = PathItem::new(HttpMethod::Post, post);
        (item.put, item.delete) = (Some(put), Some(delete));
        paths.insert(address.to_owned(), item);
    }
    document
}

fn entity_parameters(operation: &mut Operation) -> impl Iterator<Item = &mut Parameter> {
    let parameters = operation.parameters.iter_mut().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    parameters.filter(|parameter| parameter.name == "entity")
}

/// Returns the routes of `/openapi.json` and `/docs`.
pub(crate) fn routes(document: Document, catalogue: &Catalogue) -> Router<AppState> {
    let document = complete(document, catalogue);
    let viewer = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let viewer: Router<AppState> = viewer.into();
    let show = move || async move { Json(document) };
    let policy = HeaderValue::from_static(VIEWER_POLICY);
    let with_policy = SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, policy);
    viewer.layer(with_policy).route("/openapi.json", get(show))
}
