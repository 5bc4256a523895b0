//! Modes: which side of an entity type is written, and who wins a conflict.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use serde::Deserialize;
use tds_core::outbound::{ConflictPolicy, Mode, ModeChange};

use crate::{
    app::directions::{mode_name, policy_name},
    http::{
        dto,
        extract::{ApiJson, known_entity, one_of},
        problem::{Answer, Problem},
        state::AppState,
    },
};

/// The change of a mode. What is not stated stays as it is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModeBody {
    /// The entity type, such as `products`
    #[schema(example = "products")]
    entity_type: String,
    /// The new mode
    #[schema(inline, value_type = Option<dto::ModeName>, example = "bidirectional")]
    mode: Option<String>,
    /// What decides conflicts of fields that `field_policies` does not name
    #[schema(inline, value_type = Option<dto::PolicyName>, example = "newest_wins")]
    conflict_policy: Option<String>,
    /// The policies of single columns and child tables, which replace all of them
    field_policies: Option<BTreeMap<String, String>>,
    /// The epoch that the change is based on. The answer is 409 if the mode has another epoch
    epoch: Option<i64>,
}

/// The mode and the conflict policy of each entity type
#[utoipa::path(get, path = "/api/zoho/sync/modes", tag = "sync", operation_id = "list_modes",
    responses((status = 200, description = "the modes", body = dto::ModeList)))]
pub(crate) async fn show(State(state): State<AppState>) -> Answer<dto::ModeList> {
    Ok(Json(state.directions.modes().await?.into()))
}

/// Change the mode or the conflict policy of an entity type
///
/// The change takes effect at once, and nothing is verified. `tds-server mode switch` is the whole procedure.
#[utoipa::path(put, path = "/api/zoho/sync/modes", tag = "sync", operation_id = "set_mode", request_body = ModeBody,
    responses((status = 200, description = "the modes of all entity types after the change", body = dto::ModeList),
        (status = 409, response = dto::Conflict)))]
pub(crate) async fn set(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<ModeBody>,
) -> Answer<dto::ModeList> {
    let policy = |name: &str, text: &str| {
        let found = one_of(name, Some(text), &ConflictPolicy::ALL, policy_name)?;
        found.ok_or_else(|| Problem::invalid(format!("{name} must not be empty.")))
    };
    let fields = body.field_policies.map(|fields| {
        let each = fields.into_iter().map(|(field, text)| {
            let policy = policy(&format!("The policy of {field}"), &text)?;
            Ok((field, policy))
        });
        each.collect::<Result<BTreeMap<_, _>, Problem>>()
    });
    let change = ModeChange {
        entity: known_entity(state.services.engine.registry(), &body.entity_type)?,
        mode: one_of("mode", body.mode.as_deref(), &Mode::ALL, mode_name)?,
        policy: one_of(
            "conflict_policy",
            body.conflict_policy.as_deref(),
            &ConflictPolicy::ALL,
            policy_name,
        )?,
        fields: fields.transpose()?,
        epoch: body.epoch,
    };
    state.directions.set(&change).await?;
    Ok(Json(state.directions.modes().await?.into()))
}
