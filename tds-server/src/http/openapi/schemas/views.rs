//! What lists and single records look like.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::choices::{
    CheckStatus, HealthState, InboxStatus, OutcomeName, PayloadEncoding, QueueStatus, ReceiptStatus,
};
use crate::app::{activity::EntityActivity, budget::ApiBudget};

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
    #[schema(inline)]
    status: ReceiptStatus,
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
    /// Age of the oldest item that waits, whether it is due or was put off
    oldest_pending_seconds: Option<f64>,
    needs_attention: NeedsAttention,
    deferred: Deferred,
    api_budget: ApiBudget,
    activity: BTreeMap<String, EntityActivity>,
}

/// What goes on only when a person decides
#[derive(ToSchema)]
pub(crate) struct NeedsAttention {
    /// Items that were given up
    dead_letters: i64,
    /// Deliveries that were not understood
    unparsed_events: i64,
    /// Records that the newest full list of their entity type lacked, and that nobody confirmed as deleted
    held_deletions: i64,
    /// Records that both sides changed
    conflicts: i64,
    /// Records that a comparison found to differ
    drift: i64,
}

/// Items that wait although a worker could be free: they are due later, or their entity type is paused
#[derive(ToSchema)]
pub(crate) struct Deferred {
    count: i64,
    /// When the last of them is due; null where that depends on a person
    until: Option<OffsetDateTime>,
    /// Why most of them wait, in words
    reason: Option<String>,
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
    #[schema(inline)]
    status: QueueStatus,
    #[schema(inline)]
    outcome: Option<OutcomeName>,
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
    #[schema(inline)]
    status: InboxStatus,
    #[schema(inline)]
    outcome: Option<OutcomeName>,
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
    #[schema(inline)]
    status: InboxStatus,
    #[schema(inline)]
    outcome: Option<OutcomeName>,
    error_message: Option<String>,
    received_at: OffsetDateTime,
    processed_at: Option<OffsetDateTime>,
    headers: Option<BTreeMap<String, String>>,
    #[schema(inline)]
    payload_encoding: PayloadEncoding,
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
    #[schema(inline)]
    status: CheckStatus,
    organization: BTreeMap<String, Value>,
    /// Seconds until the access token ends
    expires_in: Option<u64>,
    calls_left_today: Option<u32>,
}

/// How the process is
#[derive(ToSchema)]
pub(crate) struct HealthReport {
    #[schema(inline)]
    status: HealthState,
    version: String,
    components: BTreeMap<String, Component>,
}

/// How one component is
#[derive(ToSchema)]
pub(crate) struct Component {
    #[schema(inline)]
    state: HealthState,
    detail: String,
}
