//! The help texts of all series.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Counters: they begin at zero when the process starts.
const COUNTERS: &[(&str, &str)] = &[
    ("tds_http_requests_total", "Answered HTTP requests, by route and status"),
    ("tds_webhook_requests_total", "Answered webhook requests, by result"),
    ("tds_healed_total", "Events, runs and waiters that had lost their items and were repaired"),
    ("tds_jobs_ended_total", "Claims of queue items that this process ended, by result"),
    ("tds_jobs_rescued_total", "Claims of items whose earlier claim ended without a result"),
    ("tds_fenced_writes_total", "Results that had no effect because their claim was lost"),
    ("tds_dead_letters_total", "Items that this process gave up, by entity type"),
    ("tds_source_requests_total", "Calls to Zoho that this process made, by product and result"),
    ("tds_token_refresh_total", "Access tokens that this process requested from Zoho, by result"),
    (
        "tds_db_pool_waits_total",
        "Requests for a database connection that had to wait because all were in use",
    ),
    ("tds_db_pool_timeouts_total", "Requests for a database connection that got none in time"),
];

const GAUGES: &[(&str, &str)] = &[
    ("tds_build_info", "Always 1; the label is the version of the program"),
    ("tds_component_healthy", "1 if the component of /health is healthy, otherwise 0"),
    ("tds_queue_jobs", "Queue items, by entity type and state"),
    ("tds_queue_oldest_age_seconds", "Age of the oldest item that waits, by entity type"),
    ("tds_oldest_waiting_seconds", "Age of the oldest item that waits, of all entity types"),
    ("tds_deferred_items", "Items that are put off to a later time"),
    ("tds_dead_letters", "Dead letters that wait for an operator, by entity type"),
    ("tds_end_to_end_lag_seconds", "Time from an event to its end in the last 24 hours, by entity type"),
    ("tds_needs_attention", "What waits for an operator, by kind"),
    (
        "tds_drift_rows",
        "Records that differed in the last verification, by entity type and kind of difference",
    ),
    (
        "tds_verify_last_completed_timestamp_seconds",
        "Time of the last verification of the entity type; 0 if there was none",
    ),
    ("tds_outbox_pending", "Local changes that Zoho does not have yet, by entity type"),
    ("tds_outbox_in_doubt", "Creates that were sent and whose result is not known, by entity type"),
    ("tds_conflicts_open", "Conflicts that an operator has to decide, by entity type"),
    ("tds_paused", "1 while the entity type is paused, otherwise 0"),
    ("tds_sync_last_success_timestamp_seconds", "Time of the last sync without errors; 0 if there was none"),
    ("tds_sync_period_seconds", "Shortest schedule of syncs of the entity type; 0 if there is none"),
    ("tds_webhook_last_received_timestamp_seconds", "Time of the last webhook; 0 if there was none"),
    (
        "tds_source_budget_remaining",
        "Calls to Zoho that the window has left; NaN if no limit of the window is known",
    ),
    ("tds_source_budget_limit", "Calls to Zoho that TDS may make in the window; 0 if no limit is known"),
    ("tds_source_calls_today", "Calls to Zoho since midnight UTC, by lane"),
    ("tds_source_budget_step", "1 for the current step of saving calls, otherwise 0"),
    ("tds_source_reads_wait_seconds", "How long reads for webhooks wait at most to save calls"),
    ("tds_source_paused", "1 while Zoho's limits pause all calls, otherwise 0"),
    ("tds_source_calls_per_applied_record", "Calls to Zoho today for each record that was written"),
    ("tds_source_backlog_calls", "Calls to Zoho that the items in the queue will take"),
    (
        "tds_source_backlog_seconds",
        "Time until these calls are made; +Inf if that is too far away to be planned",
    ),
    ("tds_token_expiry_timestamp_seconds", "Time at which the access token expires; 0 without a token"),
    (
        "tds_token_missing",
        "1 while this process has no access token that works and calls wait for one, else 0",
    ),
    ("tds_db_pool_connections", "Open database connections of this process, by pool and state"),
    ("tds_db_pool_connections_max", "Database connections that the pool may open; 0 if the pool is not used"),
    ("tds_db_pool_waiting", "Tasks that wait for a database connection"),
    ("tds_database_size_bytes", "Size of the database, at most five minutes old; NaN while it is not known"),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    ("tds_http_request_duration_seconds", "Time to answer an HTTP request, by route"),
    ("tds_api_request_duration_seconds", "Time to answer a request to the operator API"),
    ("tds_webhook_request_duration_seconds", "Time to answer a webhook request"),
    ("tds_ingest_batch_rows", "Webhooks that one commit stored"),
    ("tds_ingest_commit_duration_seconds", "Time to store the webhooks of one commit"),
    (
        "tds_job_duration_seconds",
        "Time of the batch in which a queue item was handled, by entity type and outcome",
    ),
    ("tds_source_request_duration_seconds", "Time of a call to Zoho, by product, without waits for permits"),
];

/// Gives the help texts to the recorder in whose scope this function is called.
pub(super) fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(*name, *help);
    }
    for (name, help) in GAUGES {
        describe_gauge!(*name, *help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(*name, *help);
    }
}
