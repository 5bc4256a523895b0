//! Figures of the queue, of each entity type, and of the budget of calls.

use std::collections::BTreeMap;

use tds_core::{limits::budget::PerLane, measures::Coverage, queue, record::EntityType, runs::RunStatus};
use time::OffsetDateTime;

use super::{
    budget::CallsOfAKind,
    by_name, each,
    names::{BudgetStep, LimitName, SyncStatus},
};
use crate::app::{
    activity::{self, Figures},
    budget::Budget,
};

wire! {
    /// Counts and delays of the queue
    Stats from figures: Figures {
        queue: StatusCounts = figures.queue.queue.into(),
        by_entity: BTreeMap<String, StatusCounts> = by_name(figures.queue.by_entity),
        sync_delay_avg_seconds: Option<f64> = figures.queue.overall.avg,
        sync_delay_p50_seconds: Option<f64> = figures.queue.overall.p50,
        sync_delay_p99_seconds: Option<f64> = figures.queue.overall.p99,
        /// Age of the oldest waiting item, whether it is due or deferred
        oldest_pending_seconds: Option<f64> = figures.queue.overall.oldest,
        needs_attention: NeedsAttention = figures.queue.needs_attention.into(),
        deferred: Deferred = figures.queue.deferred.into(),
        api_budget: ApiBudget = figures.budget.into(),
        activity: BTreeMap<String, EntityActivity> = by_name(figures.entities),
        announced: Announced = figures.announced.into(),
    }

    /// The changes of the last seven complete days, as far as they are compared, and the webhooks that announced them
    Announced from rows: Vec<Coverage> {
        /// Changes that were seen
        changes: u64 = rows.iter().map(|row| row.changes).sum(),
        /// Changes for which a webhook arrived
        delivered: u64 = rows.iter().map(|row| row.delivered).sum(),
    }

    /// Counts by status
    StatusCounts from counts: queue::StatusCounts {
        pending: i64,
        processing: i64,
        completed: i64,
        failed: i64,
        dead_letter: i64,
    }

    /// Work that continues only after an operator decides
    NeedsAttention from needs: queue::NeedsAttention {
        /// Dead letters
        dead_letters: i64,
        /// Deliveries that could not be understood
        unparsed_events: i64,
        /// Records that the newest full list of their entity type did not show, and whose deletion is not confirmed
        held_deletions: i64,
        /// Records that both sides changed
        conflicts: i64,
        /// Records that a comparison found to differ
        drift: i64,
    }

    /// Items that wait although a worker could be free, because they are due later or their entity type is paused
    Deferred from deferred: queue::Deferred {
        count: i64,
        /// When the last of these items is due; null if that depends on an operator
        #[serde(with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
        /// Why most of these items wait
        reason: Option<String>,
    }

    /// The last events and runs of an entity type.
    EntityActivity from activity: activity::EntityActivity {
        /// When the last completed run ended.
        #[serde(with = "time::serde::rfc3339::option")]
        last_success_at: Option<OffsetDateTime>,
        /// When the last run ended.
        #[serde(with = "time::serde::rfc3339::option")]
        last_run_at: Option<OffsetDateTime>,
        /// The status of the last run.
        #[schema(inline, value_type = Option<SyncStatus>)]
        last_run_status: Option<&'static str> = activity.last_run_status.map(RunStatus::as_str),
        /// When the last webhook arrived.
        #[serde(with = "time::serde::rfc3339::option")]
        last_received_at: Option<OffsetDateTime>,
        /// When the entity type was paused.
        #[serde(with = "time::serde::rfc3339::option")]
        paused_since: Option<OffsetDateTime>,
    }

    /// The budget of calls to Zoho
    ApiBudget from budget: Budget {
        /// Calls left in the window of 60 seconds; 0 during a pause.
        minute_left: Option<u32> = budget.status.minute_left,
        /// Calls left today for TDS; null if no limit is known.
        day_left: Option<u32> = budget.status.day.left,
        /// The maximum number of calls in any 60 seconds.
        minute_limit: u32 = budget.per_minute,
        /// Calls of the window that are now reserved for webhooks, local changes and operators.
        minute_reserve: u32 = budget.status.minute_reserve,
        /// The maximum number of calls in flight.
        concurrent: u32 = budget.status.concurrent,
        /// Number of calls per day that the plan allows.
        day_limit: Option<u32> = budget.status.day.limit,
        /// The part of these calls that TDS may use.
        day_allowance: Option<u32> = budget.status.day.allowance,
        /// Calls that TDS made today (UTC), all processes together.
        day_spent: u32 = budget.status.day.spent.total(),
        /// Calls that TDS made today, by lane.
        day_spent_by_lane: BTreeMap<String, u32> = by_lane(&budget.status.day.spent),
        /// Calls left today for all programs of the organization, as Zoho reported; null if Zoho did not report it.
        zoho_left: Option<u32> = budget.status.day.reported_left,
        /// The age of the number that Zoho reported.
        zoho_left_age_seconds: Option<u64> = budget.status.day.reported_age.map(|age| age.as_secs()),
        #[schema(inline, value_type = BudgetStep)]
        step: &'static str = budget.status.throttle().as_str(),
        /// Calls that webhooks, local changes, derived values and incremental syncs are expected to take for the rest of today.
        day_expected: u32 = budget.status.day.expected,
        /// The longest wait of reads for webhooks, which saves calls.
        reads_wait_seconds: u64 = budget.reads_wait.as_secs(),
        /// Entity types whose scheduled incremental syncs are postponed to save calls.
        postponed: Vec<String> = budget.postponed.iter().map(EntityType::to_string).collect(),
        /// The limit for which all calls pause; null if there is no pause.
        #[schema(inline, value_type = Option<LimitName>)]
        paused_for: Option<&'static str> = budget.status.pause.map(|pause| pause.limit.as_str()),
        /// The end of the pause.
        #[serde(with = "time::serde::rfc3339::option")]
        paused_until: Option<OffsetDateTime> = budget.status.pause.map(|pause| pause.until),
        /// Records that were written to the mirror today.
        applied_today: u64 = budget.usage.applied,
        /// Calls of today for each of these records.
        calls_per_applied: Option<f64> = budget.usage.calls_per_applied(),
        /// The calls of today by lane, entity type, endpoint and result.
        calls_today: Vec<CallsOfAKind> = each(budget.usage.calls),
        /// Calls that the items in the queue will take.
        backlog_calls: u64,
        /// When the last of these calls will have been made, at the pace that the budget allows; null if that is too
        /// far away.
        #[serde(with = "time::serde::rfc3339::option")]
        backlog_done_at: Option<OffsetDateTime>,
    }
}

fn by_lane(calls: &PerLane<u32>) -> BTreeMap<String, u32> {
    calls.iter().map(|(lane, calls)| (lane.as_str().to_owned(), *calls)).collect()
}
