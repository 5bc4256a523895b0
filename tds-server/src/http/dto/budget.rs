//! What the limits of Zoho leave: of the minute, of the day, for each lane, and for what waits.

use tds_core::{
    limits::budget::{BudgetStatus, CallCount, Refusal},
    queue::Lane,
    record::EntityType,
};
use time::OffsetDateTime;

use super::{
    each,
    names::{BudgetStep, LaneName, LimitName},
};
use crate::app::budget::Budget;

wire! {
    /// What the limits of Zoho leave
    CallBudget from budget: Budget {
        minute: MinuteBudget = (&budget).into(),
        day: DayBudget = (&budget.status).into(),
        /// The lanes, most urgent first
        lanes: Vec<LaneBudget> = each(lanes(&budget.status)),
        forecast: CallForecast = (&budget).into(),
        #[schema(inline, value_type = BudgetStep)]
        step: &'static str = budget.status.throttle().as_str(),
        /// The longest wait of reads for webhooks, which saves calls
        reads_wait_seconds: u64 = budget.reads_wait.as_secs(),
        /// Entity types whose scheduled incremental syncs are postponed to save calls
        postponed: Vec<String> = budget.postponed.iter().map(EntityType::to_string).collect(),
        #[schema(inline, value_type = Option<LimitName>)]
        paused_for: Option<&'static str> = budget.status.pause.map(|pause| pause.limit.as_str()),
        /// The end of the pause of all calls
        #[serde(with = "time::serde::rfc3339::option")]
        paused_until: Option<OffsetDateTime> = budget.status.pause.map(|pause| pause.until),
        /// The calls of today by lane, entity type, endpoint and result
        calls_today: Vec<CallsOfAKind> = each(budget.usage.calls),
    }

    /// The window of 60 seconds
    MinuteBudget from budget: &Budget {
        /// Calls left; 0 during a pause
        left: Option<u32> = budget.status.minute_left,
        /// The maximum number of calls
        limit: u32 = budget.per_minute,
        /// Calls that are now reserved for webhooks, local changes and operators
        reserve: u32 = budget.status.minute_reserve,
        /// The maximum number of calls in flight
        concurrent: u32 = budget.status.concurrent,
    }

    /// The day (UTC)
    DayBudget from status: &BudgetStatus {
        /// Calls left for TDS; null if no limit is known
        left: Option<u32> = status.day.left,
        /// Calls that the plan of the organization allows
        limit: Option<u32> = status.day.limit,
        /// The part of these calls that TDS may use
        allowance: Option<u32> = status.day.allowance,
        /// Calls that TDS made, all processes together
        spent: u32 = status.day.spent.total(),
        /// Calls left for all programs of the organization, as Zoho reported; null if Zoho did not report it
        zoho_left: Option<u32> = status.day.reported_left,
        /// The age of the number that Zoho reported
        zoho_left_age_seconds: Option<u64> = status.day.reported_age.map(|age| age.as_secs()),
    }

    /// One lane
    LaneBudget from status: LaneStatus {
        #[schema(inline, value_type = LaneName)]
        lane: &'static str = status.lane.as_str(),
        /// Calls that the lane made today
        spent: u32 = status.spent,
        #[schema(inline, value_type = Option<LimitName>)]
        refused_for: Option<&'static str> = status.refused.map(|refusal| refusal.limit.as_str()),
        /// How long the lane may not call
        wait_seconds: Option<f64> = status.refused.map(|refusal| refusal.wait.as_secs_f64()),
    }

    /// What the calls will suffice for
    CallForecast from budget: &Budget {
        /// Calls that webhooks, local changes, derived values and incremental syncs are expected to take for the rest of
        /// today
        expected_today: u32 = budget.status.day.expected,
        /// Calls that the items in the queue will take
        backlog_calls: u64 = budget.backlog_calls,
        /// When the last of these calls will have been made, at the pace that the budget allows; null if that is too far
        /// away
        #[serde(with = "time::serde::rfc3339::option")]
        backlog_done_at: Option<OffsetDateTime> = budget.backlog_done_at,
        /// Records that were written to the mirror today
        applied_today: u64 = budget.usage.applied,
        /// Calls of today for each of these records
        calls_per_applied: Option<f64> = budget.usage.calls_per_applied(),
    }

    /// The calls of one lane, entity type, endpoint and result
    CallsOfAKind from count: CallCount {
        #[schema(inline, value_type = LaneName)]
        lane: &'static str = count.lane.as_str(),
        /// The entity type of the records; null if the calls belong to no single entity type.
        entity_type: Option<String> = count.entity.map(|entity| entity.to_string()),
        endpoint: String,
        /// `ok`, or the kind of the failure.
        result: String,
        calls: u32,
    }
}

/// What one lane spent, and whether it may call now.
struct LaneStatus {
    lane: Lane,
    spent: u32,
    refused: Option<Refusal>,
}

fn lanes(status: &BudgetStatus) -> impl Iterator<Item = LaneStatus> + '_ {
    let spent = status.day.spent.iter();
    spent.map(|(lane, spent)| LaneStatus { lane, spent: *spent, refused: status.refused[lane] })
}
