//! Starts bulk syncs of the requested entity types that are not being synced already.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use tds_core::{engine::Registry, record::EntityType, runs::RunType};

use crate::{
    app::runs::{BulkSync, MODES, parse_day, parse_since, selection},
    http::{
        dto,
        extract::{ApiJson, known_entity},
        problem::{Problem, ProblemKind},
        state::AppState,
    },
};

/// The records to sync.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkSyncBody {
    /// An entity type, a list of entity types, or `all`
    #[schema(example = "products")]
    entity_type: Choice,
    /// `full` or `incremental`; the default is `incremental`
    #[schema(inline, value_type = Option<dto::SyncMode>, example = "incremental")]
    mode: Option<String>,
    /// Read only changes since this time (RFC 3339, or a date); only with mode `incremental`
    #[schema(example = "2026-11-20T00:00:00Z")]
    since: Option<String>,
    /// Read only the records from this day on, by their own date; for entity types whose list Zoho filters by date
    #[schema(example = "2026-01-01")]
    from: Option<String>,
    /// Read only the records up to this day, by their own date
    #[schema(example = "2026-03-31")]
    to: Option<String>,
    /// Read only the records with these ids, at most 2,000, of one entity type
    #[schema(example = json!(["460000000567114"]))]
    ids: Option<Vec<String>>,
}

/// One entity type, `all`, or a list of entity types
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = EntityChoice)]
#[serde(untagged, expecting = "entity_type must be a string or a list of strings")]
pub(super) enum Choice {
    One(String),
    Several(Vec<String>),
}

impl Choice {
    /// Returns the entity types, or `None` for all of them.
    pub(super) fn entities(&self, registry: &Registry) -> Result<Option<Vec<EntityType>>, Problem> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        };
        if names.iter().any(|name| name == "all") {
            return Ok(None);
        }
        names.iter().map(|name| known_entity(registry, name)).collect::<Result<_, _>>().map(Some)
    }
}

/// Start bulk syncs
///
/// A run starts for each requested entity type that has no active run, and `active` names the others. The answer
/// is 409 if all of them have active runs.
///
/// `from`, `to` and `ids` read a part of the records. Such a run finds no deletions and moves no cursor. Its `plan` states
/// the calls that it will cost.
#[utoipa::path(post, path = "/api/zoho/bulk-sync", tag = "sync", operation_id = "start_bulk_sync", request_body = BulkSyncBody,
    responses((status = 202, description = "the runs were created and start by themselves", body = dto::StartedRuns), (status = 409, response = dto::Conflict)))]
pub(crate) async fn start(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<BulkSyncBody>,
) -> Result<(StatusCode, Json<dto::StartedRuns>), Problem> {
    let asked = body.entity_type.entities(state.services.engine.registry())?;
    let since = body.since.as_deref().map(|text| {
        parse_since(text).ok_or_else(|| {
            Problem::invalid(format!(
                "since must be a time such as 2026-11-20T00:00:00Z or a date, not {text:?}."
            ))
        })
    });
    let run_type = mode(body.mode.as_deref())?;
    let day = |name: &str, text: &Option<String>| {
        let parsed = |text: &String| {
            let wrong =
                || Problem::invalid(format!("{name} must be a date such as 2026-11-20, not {text:?}."));
            parse_day(text).ok_or_else(wrong)
        };
        text.as_ref().map(parsed).transpose()
    };
    let selection = selection((day("from", &body.from)?, day("to", &body.to)?), body.ids)?;
    let sync = BulkSync { run_type, since: since.transpose()?, selection, requested_by: "api" };
    let started = state.runs.start(&state.services, asked, &sync).await?;
    if started.runs.is_empty() {
        let active = started.active.iter().map(|run| format!("{} (run {})", run.entity_type, run.id));
        let active = active.collect::<Vec<_>>().join(", ");
        let detail = format!("Already active: {active}. Nothing was started.");
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    Ok((StatusCode::ACCEPTED, Json(started.into())))
}

fn mode(text: Option<&str>) -> Result<RunType, Problem> {
    let Some(text) = text else { return Ok(RunType::Incremental) };
    MODES
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| Problem::invalid(format!("mode must be full or incremental, not {text:?}.")))
}
