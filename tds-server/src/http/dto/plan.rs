//! What the configuration costs in calls a day.

use tds_core::runs::{Cost, LaneCost};

use super::{
    each,
    names::{CostCause, LaneName},
};
use crate::app::plan::Plan;

wire! {
    /// What the configuration costs in calls a day
    CostPlan from plan: Plan {
        /// Calls that are expected in a day
        calls_a_day: u64 = whole(plan.cost.calls()),
        /// The part of these calls that is made while nothing changes and no webhook arrives
        idle_calls_a_day: u64 = whole(plan.cost.idle()),
        /// Calls in a day that the plan of the organization allows, as configured or as Zoho states; null if neither is
        /// known
        day_limit: Option<u32> = plan.limit,
        /// The part of these calls that TDS may use
        day_allowance: Option<u32> = plan.allowance,
        /// The expected calls in percent of this part
        share_percent: Option<f64> = plan.share_percent(),
        /// The costs of each lane
        lanes: Vec<PlannedLane> = each(plan.cost.lanes),
        /// The single costs
        costs: Vec<PlannedCost> = each(plan.cost.costs),
    }

    /// The costs of one lane
    PlannedLane from cost: LaneCost {
        #[schema(inline, value_type = LaneName)]
        lane: &'static str = cost.lane.as_str(),
        calls_a_day: u64 = whole(cost.calls),
        idle_calls_a_day: u64 = whole(cost.idle),
        /// Why the lane costs nothing, such as `off`; null if it costs something
        reason: Option<&'static str> = cost.reason,
    }

    /// One cost in calls a day
    PlannedCost from cost: Cost {
        #[schema(inline, value_type = LaneName)]
        lane: &'static str = cost.lane.as_str(),
        /// The entity type of the records; null if the calls belong to no single entity type
        entity_type: Option<String> = cost.entity.as_ref().map(ToString::to_string),
        #[schema(inline, value_type = CostCause)]
        cause: &'static str = cost.cause.as_str(),
        calls_a_day: u64 = whole(cost.calls),
        idle_calls_a_day: u64 = whole(cost.idle),
        /// Where the numbers come from, as a sentence
        reason: String,
        /// Whether the number rests on an assumption, which `reason` states
        assumed: bool,
    }
}

/// Rounds up: less than one call a day is still a call on some days.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate is never negative")]
fn whole(calls: f64) -> u64 {
    calls.ceil() as u64
}
