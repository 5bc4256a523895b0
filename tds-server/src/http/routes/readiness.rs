//! Whether the mirror can be relied upon, and the webhooks that Zoho missed.

use axum::{Json, extract::State};

use crate::{
    app::{
        missed::{Daily, missed},
        readiness::readiness,
        services::is_lacking,
    },
    http::{
        dto,
        problem::{Answer, Problem},
        state::AppState,
    },
};

/// Whether the mirror can be relied upon
///
/// The checklist for the end of the parallel run, measured over the last seven days. No call to Zoho is made.
#[utoipa::path(get, path = "/api/zoho/readiness", tag = "sync", operation_id = "get_readiness",
    responses((status = 200, description = "the checklist", body = dto::Readiness)))]
pub(crate) async fn show(State(state): State<AppState>) -> Answer<dto::Readiness> {
    let services = &state.services;
    let is_lacking = |entity: &_| is_lacking(&services.catalogue, &services.zoho, entity);
    Ok(Json(readiness(&services.ports, &services.catalogue, is_lacking).await?.into()))
}

/// The changes that Zoho announced by a webhook, and those that it did not
///
/// Changes of the last seven days and of today so far, by entity type. No call to Zoho is made.
#[utoipa::path(get, path = "/api/zoho/sync/missed-webhooks", tag = "sync", operation_id = "get_missed_webhooks",
    responses((status = 200, description = "announced changes, and looks at Zoho's history", body = dto::MissedWebhooks)))]
pub(crate) async fn show_missed(State(state): State<AppState>) -> Answer<dto::MissedWebhooks> {
    let services = &state.services;
    Ok(Json(missed(&services.ports, &services.catalogue).await?.into()))
}

/// Look at Zoho's own history of webhooks now
///
/// A server does this once a day. Records of webhooks that failed are read again. If Zoho does not show its history, the
/// newest entry of `history` says so.
#[utoipa::path(post, path = "/api/zoho/sync/missed-webhooks", tag = "sync", operation_id = "check_missed_webhooks",
    responses((status = 200, description = "announced changes, and looks at Zoho's history", body = dto::MissedWebhooks)))]
pub(crate) async fn look_for_missed(State(state): State<AppState>) -> Answer<dto::MissedWebhooks> {
    let services = &state.services;
    let daily = Daily::of(services, None)
        .ok_or_else(|| Problem::unavailable("This server keeps no measurements."))?;
    daily.read_history().await?;
    Ok(Json(missed(&services.ports, &services.catalogue).await?.into()))
}
