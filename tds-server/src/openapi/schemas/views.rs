//! What lists and single records look like.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{activity::EntityActivity, budget::ApiBudget};

/// How many items changed
#[derive(ToSchema)]
pub(crate) struct Affected {
    affected: u64,
}

/// An event that is processed again
#[derive(ToSchema)]
pub(crate) struct Replayed {
    affected: u64,
    inbox_event_id: i64,
    /// `accepted`, `ignored` or `unparsed`
    status: String,
}

/// Runs that were stored
#[derive(ToSchema)]
pub(crate) struct StartedRuns {
    runs: Vec<StartedRun>,
}

/// A run that was stored
#[derive(ToSchema)]
pub(crate) struct StartedRun {
    id: i64,
    entity_type: String,
    status: String,
}

/// Runs, newest first
#[derive(ToSchema)]
pub(crate) struct RunList {
    runs: Vec<SyncRun>,
}

/// A run: every column of `tds_sync_runs`
#[derive(ToSchema)]
pub(crate) struct SyncRun {
    id: i64,
    /// `full`, `incremental`, `verify` or `images`
    run_type: String,
    entity_type: String,
    source_type: String,
    /// `pending`, `running`, `completed`, `completed_with_errors`, `failed` or `cancelled`
    status: String,
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

/// How a run reads and why, and what came of it
#[derive(ToSchema)]
pub(crate) struct RunPlan {
    /// Why it is read so, in one sentence
    reason: String,
    /// `whole`, `filtered` or `newest_first`
    listing: String,
    /// Every way that there was
    ways: Vec<ListingCost>,
    /// Calls that found out what the list can do: so many at most
    probe_calls: u64,
    /// How whole records are read: `none`, `single` or `many` a call
    details: String,
    expected_details: Option<u64>,
    expected_calls: Option<u64>,
    /// What the list brought; null until it is read to its end
    found: Option<Found>,
}

/// What a way to read the list costs
#[derive(ToSchema)]
pub(crate) struct ListingCost {
    /// `whole`, `filtered` or `newest_first`
    way: String,
    /// Expected calls; null: nobody knows how long the list is
    calls: Option<u64>,
}

/// What a list brought
#[derive(ToSchema)]
pub(crate) struct Found {
    pages: i64,
    records: i64,
    /// Records that differ from what is known
    with_news: i64,
}

/// Counts by status
#[derive(ToSchema)]
pub(crate) struct StatusCounts {
    pending: i64,
    processing: i64,
    completed: i64,
    failed: i64,
    dead_letter: i64,
}

/// Counts and delays
#[derive(ToSchema)]
pub(crate) struct Stats {
    queue: StatusCounts,
    by_entity: BTreeMap<String, StatusCounts>,
    sync_delay_avg_seconds: Option<f64>,
    sync_delay_p50_seconds: Option<f64>,
    sync_delay_p99_seconds: Option<f64>,
    oldest_pending_seconds: Option<f64>,
    api_budget: ApiBudget,
    activity: BTreeMap<String, EntityActivity>,
}

/// One page of items
#[derive(ToSchema)]
pub(crate) struct ItemPage {
    items: Vec<QueueItem>,
    next_cursor: Option<String>,
}

/// A queue item; `payload` and `attempts` where one item is asked for
#[derive(ToSchema)]
pub(crate) struct QueueItem {
    id: i64,
    inbox_event_id: Option<i64>,
    entity_type: String,
    entity_id: Option<String>,
    zoho_entity_id: String,
    /// Lower goes first
    priority: i16,
    /// `pending`, `processing`, `completed`, `failed` or `dead_letter`
    status: String,
    outcome: Option<String>,
    retry_count: u32,
    error_message: Option<String>,
    queued_at: OffsetDateTime,
    processing_started_at: Option<OffsetDateTime>,
    processing_completed_at: Option<OffsetDateTime>,
    run_at: Option<OffsetDateTime>,
    payload: Option<Value>,
    attempts: Option<Vec<Attempt>>,
}

/// One ended attempt
#[derive(ToSchema)]
pub(crate) struct Attempt {
    attempt: u32,
    started_at: Option<OffsetDateTime>,
    ended_at: OffsetDateTime,
    worker: Option<String>,
    result: String,
    error: Option<String>,
}

/// Counts of the inbox
#[derive(ToSchema)]
pub(crate) struct InboxStats {
    total: i64,
    by_status: BTreeMap<String, i64>,
    by_entity: BTreeMap<String, i64>,
    last_24h: LastDay,
    last_received_at: Option<OffsetDateTime>,
}

/// Events of the last 24 hours
#[derive(ToSchema)]
pub(crate) struct LastDay {
    total: i64,
    completed: i64,
    failed: i64,
    success_rate_percent: Option<f64>,
}

/// One page of events
#[derive(ToSchema)]
pub(crate) struct EventPage {
    items: Vec<Event>,
    next_cursor: Option<String>,
}

/// An inbox event
#[derive(ToSchema)]
pub(crate) struct Event {
    id: i64,
    event_id: String,
    source_type: String,
    entity_type: String,
    entity_id: Option<String>,
    event_type: String,
    /// `pending`, `processing`, `completed` or `failed`
    status: String,
    outcome: Option<String>,
    error_message: Option<String>,
    received_at: OffsetDateTime,
    processed_at: Option<OffsetDateTime>,
    headers: Option<BTreeMap<String, String>>,
}

/// An inbox event with its body
#[derive(ToSchema)]
pub(crate) struct EventDetail {
    id: i64,
    event_id: String,
    source_type: String,
    entity_type: String,
    entity_id: Option<String>,
    event_type: String,
    /// `pending`, `processing`, `completed` or `failed`
    status: String,
    outcome: Option<String>,
    error_message: Option<String>,
    received_at: OffsetDateTime,
    processed_at: Option<OffsetDateTime>,
    headers: Option<BTreeMap<String, String>>,
    /// How `payload` is written: `json`, `text` or `base64`
    payload_encoding: String,
    payload: Value,
}

/// Paused entity types
#[derive(ToSchema)]
pub(crate) struct PausedList {
    paused: Vec<PausedEntity>,
}

/// A paused entity type
#[derive(ToSchema)]
pub(crate) struct PausedEntity {
    entity_type: String,
    since: OffsetDateTime,
}

/// Whether an entity type is paused
#[derive(ToSchema)]
pub(crate) struct PauseState {
    entity_type: String,
    paused: bool,
}

/// Zoho accepts the credentials
#[derive(ToSchema)]
pub(crate) struct Credentials {
    /// `ok`
    status: String,
    organization: BTreeMap<String, Value>,
    /// Seconds until the access token ends
    expires_in: Option<u64>,
    calls_left_today: Option<u32>,
}

/// How the process is
#[derive(ToSchema)]
pub(crate) struct HealthReport {
    /// `healthy`, `degraded` or `unhealthy`
    status: String,
    version: String,
    components: BTreeMap<String, Component>,
}

/// How one component is
#[derive(ToSchema)]
pub(crate) struct Component {
    /// `healthy`, `degraded` or `unhealthy`
    state: String,
    detail: String,
}
