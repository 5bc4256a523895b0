//! Starting bulk syncs: of every entity type that was asked for and is not being synced already.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tds_core::{
    error::ErrorKind,
    record::EntityType,
    runs::{NewRun, Run, RunFilter, RunId, RunStatus, RunType},
};
use time::{
    Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description,
};

use crate::http::{
    extract::{ApiJson, known_entity},
    openapi::schemas,
    problem::{Problem, ProblemKind},
    state::AppState,
};

/// What to sync.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkSyncBody {
    /// An entity type, a list of them, or `all`
    #[schema(example = "products")]
    entity_type: Choice,
    /// `full` or `incremental`; `incremental` where absent
    #[schema(inline, value_type = Option<schemas::SyncMode>, example = "incremental")]
    mode: Option<String>,
    /// Only changes since then (RFC 3339, or a date); incremental only
    #[schema(example = "2026-11-20T00:00:00Z")]
    since: Option<String>,
}

/// One entity type, `all`, or a list
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = EntityChoice)]
#[serde(untagged, expecting = "entity_type must be a text or a list of texts")]
enum Choice {
    One(String),
    Several(Vec<String>),
}

/// The runs that were stored, and those that were active already.
#[derive(Serialize)]
pub(crate) struct Started {
    runs: Vec<StartedRun>,
    active: Vec<ActiveRun>,
}

#[derive(Serialize)]
struct ActiveRun {
    entity_type: EntityType,
    run_id: i64,
}

#[derive(Serialize)]
struct StartedRun {
    id: i64,
    entity_type: EntityType,
    status: &'static str,
}

/// Start bulk syncs
///
/// Of several entity types those start that no run is active of; `active` names the others. 409 where that are all.
#[utoipa::path(post, path = "/api/zoho/bulk-sync", tag = "sync", operation_id = "start_bulk_sync", security(("bearer" = [])),
    request_body = BulkSyncBody, responses(
    (status = 202, description = "stored; the runs start by themselves", body = schemas::StartedRuns),
    (status = 400, response = schemas::Unreadable),
    (status = 401, response = schemas::Unauthorized),
    (status = 409, response = schemas::Conflict),
    (status = 422, response = schemas::Invalid),
))]
pub(crate) async fn start(
    State(state): State<AppState>,
    ApiJson(body): ApiJson<BulkSyncBody>,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let entities = entities(&state, &body.entity_type)?;
    let mode = mode(body.mode.as_deref())?;
    let since = body.since.as_deref().map(time_of).transpose()?;
    if mode == RunType::Full && since.is_some() {
        return Err(Problem::invalid("since goes with the mode incremental: a full sync reads everything."));
    }
    let started = create(&state, entities, mode, since).await?;
    if started.runs.is_empty() {
        let active = started.active.iter().map(|run| format!("{} (run {})", run.entity_type, run.run_id));
        let active = active.collect::<Vec<_>>().join(", ");
        let detail = format!("Active already: {active}. Nothing was started.");
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    Ok((StatusCode::ACCEPTED, Json(started)))
}

/// The entity types asked for, each once, in the order asked.
fn entities(state: &AppState, choice: &Choice) -> Result<Vec<EntityType>, Problem> {
    let registry = &state.services.registry;
    let names = match choice {
        Choice::One(name) if name == "all" => return Ok(registry.polled().cloned().collect()),
        Choice::One(name) => std::slice::from_ref(name),
        Choice::Several(names) if names.iter().any(|name| name == "all") => {
            return Ok(registry.polled().cloned().collect());
        }
        Choice::Several(names) => names.as_slice(),
    };
    let mut entities: Vec<EntityType> = Vec::new();
    for name in names {
        let entity = known_entity(registry, name)?;
        if registry.source(&entity).is_none() {
            return Err(Problem::invalid(format!("{entity} has no source that could be listed.")));
        }
        if !entities.contains(&entity) {
            entities.push(entity);
        }
    }
    if entities.is_empty() {
        return Err(Problem::invalid("entity_type names no entity type."));
    }
    Ok(entities)
}

fn mode(text: Option<&str>) -> Result<RunType, Problem> {
    match text {
        None | Some("incremental") => Ok(RunType::Incremental),
        Some("full") => Ok(RunType::Full),
        Some(other) => Err(Problem::invalid(format!("mode must be full or incremental, not {other:?}."))),
    }
}

fn time_of(text: &str) -> Result<OffsetDateTime, Problem> {
    let date = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().map(|time| time.to_offset(UtcOffset::UTC));
    time.or_else(|| date().map(|date| date.midnight().assume_utc())).ok_or_else(|| {
        Problem::invalid(format!(
            "since must be a time such as 2026-11-20T00:00:00Z or a date, not {text:?}."
        ))
    })
}

/// Stores a run of each entity type; those that are active already are named instead.
async fn create(
    state: &AppState,
    entities: Vec<EntityType>,
    run_type: RunType,
    since: Option<OffsetDateTime>,
) -> Result<Started, Problem> {
    let mut started = Started { runs: Vec::new(), active: Vec::new() };
    for entity in entities {
        let run = NewRun {
            entity: entity.clone(),
            run_type,
            source_type: "zoho".to_owned(),
            since,
            requested_by: "api".to_owned(),
        };
        let refused = match create_or_find(state, run).await {
            Ok(Ok(run)) => {
                let (id, status) = (run.id.0, run.status.as_str());
                started.runs.push(StartedRun { id, entity_type: run.entity_type, status });
                continue;
            }
            Ok(Err(active)) => {
                started.active.push(ActiveRun { entity_type: entity, run_id: active.0 });
                continue;
            }
            Err(error) => error,
        };
        // A wish that cannot be stored as a whole can be repeated as a whole.
        take_back(state, &started.runs).await;
        return Err(refused.into());
    }
    Ok(started)
}

/// The new run, or the id of the one that is active.
async fn create_or_find(state: &AppState, request: NewRun) -> tds_core::error::Result<Result<Run, RunId>> {
    let runs = &state.services.runs;
    let mut tries = 3;
    loop {
        let refused = match runs.create(request.clone()).await {
            Err(error) if error.kind() == ErrorKind::Conflict => error,
            other => return other.map(Ok),
        };
        for status in [RunStatus::Pending, RunStatus::Running] {
            let filter = RunFilter { entity: Some(request.entity.clone()), status: Some(status) };
            if let Some(run) = runs.list_runs(&filter, 1).await?.first() {
                return Ok(Err(run.id));
            }
        }
        // It ended between the two.
        tries -= 1;
        if tries == 0 {
            return Err(refused);
        }
    }
}

async fn take_back(state: &AppState, created: &[StartedRun]) {
    for run in created {
        if let Err(error) = state.services.runs.cancel(RunId(run.id)).await {
            tracing::warn!(run = run.id, error = %error.chain(), "a run could not be taken back");
        }
    }
}
