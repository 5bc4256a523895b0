//! Values of which there is a closed set.

use utoipa::ToSchema;

/// What happened to a record
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum EventName {
    Created,
    Updated,
    Deleted,
}

/// What follows from a webhook
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum ReceiptStatus {
    Accepted,
    Ignored,
    Unparsed,
}

/// Where a queue item is
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum QueueStatus {
    Pending,
    Processing,
    Completed,
    Failed,
    DeadLetter,
}

/// Where an inbox event is
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum InboxStatus {
    Pending,
    Processing,
    Completed,
    Failed,
}

/// Where a run is
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum SyncStatus {
    Pending,
    Running,
    Completed,
    CompletedWithErrors,
    Failed,
    Cancelled,
}

/// What a run does
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum SyncType {
    Full,
    Incremental,
    Verify,
    Images,
}

/// How a bulk sync reads
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum SyncMode {
    Full,
    Incremental,
}

/// How a list is read
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Listing {
    Whole,
    Filtered,
    NewestFirst,
}

/// How whole records are read: not at all, one a call, or many a call
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Details {
    None,
    Single,
    Many,
}

/// How a process or a part of it is
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum HealthState {
    Healthy,
    Degraded,
    Unhealthy,
}

/// How a body is written
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum PayloadEncoding {
    Json,
    Text,
    Base64,
}

/// How the work on a record ended
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum OutcomeName {
    Applied,
    Unchanged,
    Stale,
    Superseded,
    Deleted,
    Ignored,
    Discarded,
}

/// How far calls are saved
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum BudgetStep {
    Normal,
    BulkDeferred,
    Frugal,
    ChangesDeferred,
    JournalOnly,
    Spent,
}

/// Which limit all calls pause for
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum PauseReason {
    Minute,
    Day,
    Concurrency,
}

/// Whose budget calls are spent from
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum LaneName {
    Operator,
    Outbound,
    Webhook,
    Incremental,
    Full,
    Verify,
}

/// What the answer to a check of credentials says
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum CheckStatus {
    Ok,
}
