//! The table of all addresses.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, put},
};
use tds_zoho::entities::Catalogue;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    dashboard,
    http::{
        auth,
        layers::{
            Queries, buffer_body, catch_panic, close_when_draining, hosts, refuse_unknown_parameters,
            request_context, time_limit,
        },
        openapi,
        problem::{Problem, ProblemKind},
        routes::{
            budget, bulk_sync, conflicts, credentials, health, inbox, metrics, modes, outbox, pause, plan,
            problems, queue, readiness, records, runs, stats, verify, webhooks,
        },
        state::AppState,
    },
};

/// Returns the router with every address of TDS.
pub fn router(state: AppState) -> Router {
    let catalogue = &state.services.catalogue;
    let (api, document) = api(&state).split_for_parts();
    let mut router =
        api.merge(dashboard::routes()).merge(openapi::routes(document, catalogue)).merge(doors(catalogue));
    if !state.settings.metrics_apart {
        router = router.route("/metrics", get(metrics::show));
    }
    finish(router, state)
}

/// Returns the addresses of webhooks except POST at the documented address: the predecessor's address, the aliases
/// `/api/zoho/sync-…`, the other methods that Zoho allows for a webhook, and the trailing slash.
fn doors(catalogue: &Catalogue) -> Router<AppState> {
    let others = || put(webhooks::receive).delete(webhooks::receive);
    let aliases =
        catalogue.webhook_paths().into_iter().map(|name| format!("{}{name}", webhooks::SYNC_ADDRESS));
    aliases
        .chain([webhooks::PREDECESSOR_ADDRESS.to_owned()])
        .flat_map(|address| [format!("{address}/"), address])
        .chain([format!("{}/", webhooks::CONTRACT_ADDRESS)])
        .fold(Router::new().route(webhooks::CONTRACT_ADDRESS, others()), |doors, address| {
            doors.route(&address, others().post(webhooks::receive))
        })
}

/// Returns the routes of the metrics listener, if `/metrics` has its own address.
pub(crate) fn metrics_only(state: AppState) -> Router {
    finish(Router::new().route("/metrics", get(metrics::show)), state)
}

/// Returns the OpenAPI document (3.1) of all addresses.
#[must_use]
pub fn document(catalogue: &Catalogue) -> OpenApi {
    openapi::complete(open().merge(operator()).into_openapi(), catalogue)
}

/// Returns the documented addresses.
fn api(state: &AppState) -> OpenApiRouter<AppState> {
    let operator = operator();
    let queries = Arc::new(Queries::of(operator.get_openapi()));
    let operator = operator
        .route_layer(middleware::from_fn_with_state(queries, refuse_unknown_parameters))
        // The token check is the outermost layer: a client without a token does not learn what requests are accepted.
        .route_layer(middleware::from_fn_with_state(state.clone(), auth::require_token));
    open().merge(operator)
}

/// Returns the documented addresses that require no token.
fn open() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(webhooks::receive))
        .routes(routes!(health::health))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(problems::show))
}

/// Returns the operator API. New operator addresses belong here: only the routes of this function demand the token.
fn operator() -> OpenApiRouter<AppState> {
    let mut router = OpenApiRouter::new()
        .routes(routes!(bulk_sync::start))
        .routes(routes!(stats::show))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::confirm_deletions))
        .routes(routes!(inbox::stats))
        .routes(routes!(inbox::list))
        .routes(routes!(inbox::show))
        .routes(routes!(inbox::replay))
        .routes(routes!(queue::list))
        .routes(routes!(queue::show))
        .routes(routes!(queue::retry_one))
        .routes(routes!(queue::discard_one))
        .routes(routes!(queue::retry_many))
        .routes(routes!(queue::discard_many))
        .routes(routes!(pause::show, pause::pause))
        .routes(routes!(pause::resume))
        .routes(routes!(modes::show, modes::set))
        .routes(routes!(outbox::list))
        .routes(routes!(outbox::show))
        .routes(routes!(conflicts::list))
        .routes(routes!(conflicts::show))
        .routes(routes!(conflicts::resolve))
        .routes(routes!(records::history))
        .routes(routes!(budget::show))
        .routes(routes!(plan::show))
        .routes(routes!(verify::start))
        .routes(routes!(verify::latest))
        .routes(routes!(verify::show))
        .routes(routes!(readiness::show))
        .routes(routes!(readiness::show_missed, readiness::look_for_missed))
        .routes(routes!(credentials::test));
    openapi::complete_operators(router.get_openapi_mut());
    router
}

/// Adds the layers around all routes. The last layer is the outermost.
fn finish(router: Router<AppState>, state: AppState) -> Router {
    router
        .fallback(no_such_address)
        // `buffer_body` sets the only limit. The limit of axum would cut off a large body that `buffer_body` accepts.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(state.clone(), buffer_body))
        .layer(middleware::from_fn_with_state(state.clone(), time_limit))
        .layer(middleware::from_fn_with_state(state.clone(), hosts::check))
        .layer(middleware::from_fn(catch_panic))
        .layer(middleware::from_fn_with_state(state.clone(), request_context))
        .layer(middleware::from_fn_with_state(state.clone(), close_when_draining))
        .with_state(state)
}

async fn no_such_address() -> Problem {
    Problem::new(ProblemKind::NotFound, "There is nothing at this address; /docs lists all addresses.")
}
