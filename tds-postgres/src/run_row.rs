//! Reading runs.

use sqlx::{Row as _, postgres::PgRow};

use tds_core::{
    error::Error,
    queue::LeaseToken,
    runs::{Checkpoint, Run, RunId, RunLease, RunPlan, RunStatus, RunType},
};

use crate::queue::entity_of;

/// A statement that reads runs: `$tail` says which.
macro_rules! select_runs {
    ($from:literal, $tail:literal) => {
        concat!(
            "SELECT r.id, r.run_type, r.entity_type, r.source_type, r.status, r.total_items, r.processed_items, ",
            "r.failed_items, r.unchanged_items, r.pages, r.listing_done, r.since, r.created_at, r.started_at, ",
            "r.completed_at, r.error_log, r.requested_by, r.target_database, cardinality(r.held_ids)::bigint AS held, ",
            "r.lease_token, r.checkpoint, r.plan, r.calls, ",
            "(SELECT p.total_items FROM tds_sync_runs p WHERE p.entity_type = r.entity_type ",
            "AND p.run_type = r.run_type AND p.id < r.id AND p.status IN ('completed', 'completed_with_errors') ",
            "ORDER BY p.id DESC LIMIT 1) AS expected FROM ",
            $from,
            " r ",
            $tail
        )
    };
}
pub(crate) use select_runs;

/// Reads a run.
pub(crate) fn run_of(row: &PgRow) -> Result<Run, sqlx::Error> {
    let entity: String = row.try_get("entity_type")?;
    let mut run = Run {
        id: RunId(row.try_get("id")?),
        run_type: run_type_of(row.try_get("run_type")?)?,
        entity_type: entity_of(&entity)?,
        source_type: row.try_get("source_type")?,
        status: status_of(row.try_get("status")?)?,
        total_items: row.try_get("total_items")?,
        processed_items: row.try_get("processed_items")?,
        failed_items: row.try_get("failed_items")?,
        unchanged_items: row.try_get("unchanged_items")?,
        pages: row.try_get("pages")?,
        plan: plan_of(row.try_get("plan")?),
        calls: row.try_get("calls")?,
        calls_per_record: None,
        listing_done: row.try_get("listing_done")?,
        progress_percent: 0.0,
        since: row.try_get("since")?,
        created_at: row.try_get("created_at")?,
        started_at: row.try_get("started_at")?,
        completed_at: row.try_get("completed_at")?,
        error_log: row.try_get("error_log")?,
        requested_by: row.try_get("requested_by")?,
        target_database: row.try_get("target_database")?,
        held_deletions: row.try_get("held")?,
    };
    run.calls_per_record = Run::calls_for_each(run.calls, run.processed_items, run.unchanged_items);
    run.progress_percent = progress(&run, row.try_get("expected")?);
    Ok(run)
}

/// A plan that another version wrote in a form of its own is not shown: it is for people only.
fn plan_of(stored: Option<serde_json::Value>) -> Option<RunPlan> {
    stored.and_then(|json| serde_json::from_value(json).ok())
}

/// Reads a run that was just leased.
pub(crate) fn lease_of(row: &PgRow) -> Result<RunLease, sqlx::Error> {
    let stored: Option<serde_json::Value> = row.try_get("checkpoint")?;
    let checkpoint = match stored {
        Some(json) => serde_json::from_value(json).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        None => Checkpoint::default(),
    };
    Ok(RunLease { run: run_of(row)?, token: LeaseToken(row.try_get("lease_token")?), checkpoint })
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
fn progress(run: &Run, expected: Option<i64>) -> f64 {
    if matches!(run.status, RunStatus::Completed | RunStatus::CompletedWithErrors) {
        return 100.0;
    }
    let total = if run.listing_done { run.total_items } else { run.total_items.max(expected.unwrap_or(0)) };
    if total == 0 {
        return 0.0;
    }
    // While the list is being read nothing is complete, however small the last run was.
    let most = if run.listing_done { 100.0 } else { 99.0 };
    let percent = run.processed_items as f64 / total as f64 * 100.0;
    (percent * 100.0).round().clamp(0.0, most * 100.0) / 100.0
}

fn run_type_of(text: &str) -> Result<RunType, sqlx::Error> {
    [RunType::Full, RunType::Incremental, RunType::Verify, RunType::Images]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| unknown("run type", text))
}

fn status_of(text: &str) -> Result<RunStatus, sqlx::Error> {
    use RunStatus::{Cancelled, Completed, CompletedWithErrors, Failed, Pending, Running};
    [Pending, Running, Completed, CompletedWithErrors, Failed, Cancelled]
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| unknown("run status", text))
}

fn unknown(what: &str, text: &str) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(Error::internal(format!("unknown {what} {text:?}"))))
}
