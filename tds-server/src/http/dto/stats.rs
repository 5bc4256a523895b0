//! Figures of the queue, of each entity type, and of the budget of calls.

use std::collections::BTreeMap;

use tds_core::{
    limits::budget::{CallCount, PerLane},
    queue,
    record::EntityType,
    runs::RunStatus,
};
use time::OffsetDateTime;

use super::{
    by_name, each,
    names::{BudgetStep, LaneName, PauseReason, SyncStatus},
};
use crate::app::{
    activity::{self, Figures},
    budget::Budget,
};

wire! {
    /// Counts and delays
    Stats from figures: Figures {
        queue: StatusCounts = figures.queue.queue.into(),
        by_entity: BTreeMap<String, StatusCounts> = by_name(figures.queue.by_entity),
        sync_delay_avg_seconds: Option<f64> = figures.queue.sync_delay_avg_seconds,
        sync_delay_p50_seconds: Option<f64> = figures.queue.sync_delay_p50_seconds,
        sync_delay_p99_seconds: Option<f64> = figures.queue.sync_delay_p99_seconds,
        /// Age of the oldest item that waits, whether it is due or was put off
        oldest_pending_seconds: Option<f64> = figures.queue.oldest_pending_seconds,
        needs_attention: NeedsAttention = figures.queue.needs_attention.into(),
        deferred: Deferred = figures.queue.deferred.into(),
        api_budget: ApiBudget = figures.budget.into(),
        activity: BTreeMap<String, EntityActivity> = by_name(figures.entities),
    }

    /// Counts by status
    StatusCounts from counts: queue::StatusCounts {
        pending: i64,
        processing: i64,
        completed: i64,
        failed: i64,
        dead_letter: i64,
    }

    /// What goes on only when a person decides
    NeedsAttention from needs: queue::NeedsAttention {
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
    Deferred from deferred: queue::Deferred {
        count: i64,
        /// When the last of them is due; null where that depends on a person
        #[serde(with = "time::serde::rfc3339::option")]
        until: Option<OffsetDateTime>,
        /// Why most of them wait, in words
        reason: Option<String>,
    }

    /// What happened last with an entity type.
    EntityActivity from activity: activity::EntityActivity {
        /// When a run last ended well.
        #[serde(with = "time::serde::rfc3339::option")]
        last_success_at: Option<OffsetDateTime>,
        /// When a run last ended, however.
        #[serde(with = "time::serde::rfc3339::option")]
        last_run_at: Option<OffsetDateTime>,
        /// How that run ended.
        #[schema(inline, value_type = Option<SyncStatus>)]
        last_run_status: Option<&'static str> = activity.last_run_status.map(RunStatus::as_str),
        /// When a webhook last came.
        #[serde(with = "time::serde::rfc3339::option")]
        last_received_at: Option<OffsetDateTime>,
        /// Since when it is paused.
        #[serde(with = "time::serde::rfc3339::option")]
        paused_since: Option<OffsetDateTime>,
    }

    /// Calls that may still be made, and those that were
    ApiBudget from budget: Budget {
        /// Calls that the window of 60 seconds has left; 0 during a pause.
        minute_left: Option<u32> = budget.status.minute_left,
        /// Calls left today for TDS; null where no limit is known.
        day_left: Option<u32> = budget.status.day.left,
        /// Ceiling of calls in any 60 seconds.
        minute_limit: u32 = budget.per_minute,
        /// Of these, kept for webhooks, local changes and people just now.
        minute_reserve: u32 = budget.status.minute_reserve,
        /// Calls that may be in flight at once.
        concurrent: u32 = budget.status.concurrent,
        /// Calls a day of the plan.
        day_limit: Option<u32> = budget.status.day.limit,
        /// The part of them that is for TDS.
        day_allowance: Option<u32> = budget.status.day.allowance,
        /// Calls that TDS made today (UTC), all copies together.
        day_spent: u32 = budget.status.day.spent.total(),
        /// Of these, by lane.
        day_spent_by_lane: BTreeMap<String, u32> = by_lane(&budget.status.day.spent),
        /// What Zoho itself says is left, for all programs of the organization; null where it did not say.
        zoho_left: Option<u32> = budget.status.day.reported_left,
        /// How long ago it said so.
        zoho_left_age_seconds: Option<u64> = budget.status.day.reported_age.map(|age| age.as_secs()),
        #[schema(inline, value_type = BudgetStep)]
        step: &'static str = budget.status.throttle().as_str(),
        /// Calls that webhooks, local changes and incremental syncs will still take today, if it goes on as it did so far.
        day_expected: u32 = budget.status.day.expected,
        /// How long reads for webhooks wait at most, so that calls are saved.
        reads_wait_seconds: u64 = budget.reads_wait.as_secs(),
        /// Entity types whose scheduled incremental syncs wait for a better day.
        postponed: Vec<String> = budget.postponed.iter().map(EntityType::to_string).collect(),
        /// Which limit all calls pause for; null: they do not.
        #[schema(inline, value_type = Option<PauseReason>)]
        paused_for: Option<String> = budget.status.pause.map(|pause| pause.limit.to_string()),
        /// Until when they pause.
        #[serde(with = "time::serde::rfc3339::option")]
        paused_until: Option<OffsetDateTime> = budget.status.pause.map(|pause| pause.until),
        /// Records that were written to the mirror today.
        applied_today: u64 = budget.usage.applied,
        /// Calls of today for each of them.
        calls_per_applied: Option<f64> = budget.usage.calls_per_applied(),
        /// The calls of today by lane, entity type, endpoint and result.
        calls_today: Vec<CallsOfAKind> = each(budget.usage.calls),
        /// Calls that the records in the queue will take.
        backlog_calls: u64,
        /// When the last of these will have been made, at the pace that the budget allows; null: beyond any plan.
        #[serde(with = "time::serde::rfc3339::option")]
        backlog_done_at: Option<OffsetDateTime>,
    }

    /// Calls of one kind
    CallsOfAKind from count: CallCount {
        #[schema(inline, value_type = LaneName)]
        lane: &'static str = count.lane.as_str(),
        /// Records of which type they were made for; null: of no one type.
        entity_type: Option<String> = count.entity.map(|entity| entity.to_string()),
        endpoint: String,
        /// `ok`, or what went wrong.
        result: String,
        calls: u32,
    }
}

fn by_lane(calls: &PerLane<u32>) -> BTreeMap<String, u32> {
    calls.iter().map(|(lane, calls)| (lane.as_str().to_owned(), *calls)).collect()
}
