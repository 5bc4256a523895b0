//! What runs look like.

use time::OffsetDateTime;
use utoipa::ToSchema;

use super::choices::{Details, Listing, SyncStatus, SyncType};

/// Runs that were stored
#[derive(ToSchema)]
pub(crate) struct StartedRuns {
    runs: Vec<StartedRun>,
    /// Entity types of a list, or of `all`, that a run was active of: nothing was started for these
    active: Vec<ActiveRun>,
}

/// A run that was active already
#[derive(ToSchema)]
pub(crate) struct ActiveRun {
    entity_type: String,
    run_id: i64,
}

/// A run that was stored
#[derive(ToSchema)]
pub(crate) struct StartedRun {
    id: i64,
    entity_type: String,
    #[schema(inline)]
    status: SyncStatus,
}

/// Runs, newest first
#[derive(ToSchema)]
pub(crate) struct RunList {
    runs: Vec<SyncRun>,
    /// Where the next page begins; null on the last
    next_cursor: Option<String>,
}

/// A run: every column of `tds_sync_runs`
#[derive(ToSchema)]
pub(crate) struct SyncRun {
    id: i64,
    #[schema(inline)]
    run_type: SyncType,
    entity_type: String,
    source_type: String,
    #[schema(inline)]
    status: SyncStatus,
    total_items: i64,
    processed_items: i64,
    failed_items: i64,
    unchanged_items: i64,
    pages: i64,
    /// How it reads and why; null before its first page is asked for
    plan: Option<RunPlan>,
    /// Calls to Zoho that were made for it
    calls: i64,
    /// The same for each record that it brought news of
    calls_per_record: Option<f64>,
    listing_done: bool,
    progress_percent: f64,
    since: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    started_at: Option<OffsetDateTime>,
    completed_at: Option<OffsetDateTime>,
    error_log: Option<String>,
    requested_by: Option<String>,
    target_database: Option<String>,
    held_deletions: i64,
}

/// How a run reads and why; its counts tell what came of it
#[derive(ToSchema)]
pub(crate) struct RunPlan {
    /// Why it is read so, in one sentence
    reason: String,
    #[schema(inline)]
    listing: Listing,
    /// Every way that there was
    ways: Vec<ListCost>,
    /// Calls that found out what the list can do: so many at most
    probe_calls: u64,
    #[schema(inline)]
    details: Details,
    expected_details: Option<u64>,
    expected_calls: Option<u64>,
}

/// What a way to read the list costs
#[derive(ToSchema)]
pub(crate) struct ListCost {
    #[schema(inline)]
    way: Listing,
    /// Expected calls; null: nobody knows how long the list is
    calls: Option<u64>,
}
