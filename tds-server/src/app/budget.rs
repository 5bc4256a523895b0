//! What Zoho's limits leave, and what is spent on what: for people, metrics and dashboards.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tds_core::{
    engine::Registry,
    error::Result,
    limits::budget::{BudgetStatus, CallLimit, Throttle, Usage, forecast},
    queue::{QueueStats, StatusCounts},
    record::EntityType,
    runs::RunType,
};
use tds_zoho::{ZohoClient, entities::Catalogue};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{engine::schedules::is_postponed, http::openapi::schemas};

/// Calls that may still be made, and those that were
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ApiBudget {
    /// Calls that the window of 60 seconds has left; 0 during a pause.
    pub(crate) minute_left: Option<u32>,
    /// Calls left today for TDS; null where no limit is known.
    pub(crate) day_left: Option<u32>,
    /// Ceiling of calls in any 60 seconds.
    pub(crate) minute_limit: u32,
    /// Of these, kept for webhooks, local changes and people just now.
    pub(crate) minute_reserve: u32,
    /// Calls that may be in flight at once.
    pub(crate) concurrent: u32,
    /// Calls a day of the plan.
    pub(crate) day_limit: Option<u32>,
    /// The part of them that is for TDS.
    pub(crate) day_allowance: Option<u32>,
    /// Calls that TDS made today (UTC), all copies together.
    pub(crate) day_spent: u32,
    /// Of these, by lane.
    pub(crate) day_spent_by_lane: BTreeMap<String, u32>,
    /// What Zoho itself says is left, for all programs of the organization; null where it did not say.
    pub(crate) zoho_left: Option<u32>,
    /// How long ago it said so.
    pub(crate) zoho_left_age_seconds: Option<u64>,
    #[schema(inline, value_type = schemas::BudgetStep)]
    pub(crate) step: String,
    /// Calls that webhooks, local changes and incremental syncs will still take today, if it goes on as it did so far.
    pub(crate) day_expected: u32,
    /// How long reads for webhooks wait at most, so that calls are saved.
    pub(crate) reads_wait_seconds: u64,
    /// Entity types whose scheduled incremental syncs wait for a better day.
    pub(crate) postponed: Vec<String>,
    /// Which limit all calls pause for; null: they do not.
    #[schema(inline, value_type = Option<schemas::PauseReason>)]
    pub(crate) paused_for: Option<String>,
    /// Until when they pause.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) paused_until: Option<OffsetDateTime>,
    /// Records that were written to the mirror today.
    pub(crate) applied_today: u64,
    /// Calls of today for each of them.
    pub(crate) calls_per_applied: Option<f64>,
    /// The calls of today by lane, entity type, endpoint and result.
    pub(crate) calls_today: Vec<CallsOfAKind>,
    /// Calls that the records in the queue will take.
    pub(crate) backlog_calls: u64,
    /// When the last of these will have been made, at the pace that the budget allows; null: beyond any plan.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) backlog_done_at: Option<OffsetDateTime>,
}

/// Calls of one kind
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CallsOfAKind {
    #[schema(inline, value_type = schemas::LaneName)]
    lane: String,
    /// Records of which type they were made for; null: of no one type.
    entity_type: Option<String>,
    endpoint: String,
    /// `ok`, or what went wrong.
    result: String,
    calls: u32,
}

/// Looks everything up.
///
/// # Errors
/// The store that keeps the budget did not answer.
pub(crate) async fn look(
    zoho: &ZohoClient,
    queue: &QueueStats,
    catalogue: &Catalogue,
    registry: &Registry,
    now: OffsetDateTime,
) -> Result<ApiBudget> {
    let (standing, usage) = tokio::try_join!(zoho.status(), zoho.usage())?;
    let backlog = backlog_calls(queue, registry);
    let budget = ApiBudget::new(&standing, &usage, zoho.requests_per_minute(), backlog, now);
    let waits =
        |entity: &&EntityType| is_postponed(catalogue, entity, RunType::Incremental, standing.throttle());
    let postponed = registry.polled().filter(waits).map(|entity| entity.as_str().to_owned()).collect();
    Ok(ApiBudget { reads_wait_seconds: zoho.reads_wait().as_secs(), postponed, ..budget })
}

impl ApiBudget {
    fn new(
        standing: &BudgetStatus,
        usage: &Usage,
        per_minute: u32,
        backlog: u64,
        now: OffsetDateTime,
    ) -> Self {
        let pace = per_minute.saturating_sub(standing.minute_reserve).max(1);
        let forecast = forecast(now, standing, pace, backlog);
        let calls_today = usage.calls.iter().map(|count| CallsOfAKind {
            lane: count.lane.as_str().to_owned(),
            entity_type: count.entity.as_ref().map(|entity| entity.as_str().to_owned()),
            endpoint: count.endpoint.clone(),
            result: count.result.clone(),
            calls: count.calls,
        });
        Self {
            minute_left: standing.minute_left,
            day_left: standing.day.left,
            minute_limit: per_minute,
            minute_reserve: standing.minute_reserve,
            concurrent: standing.concurrent,
            day_limit: standing.day.limit,
            day_allowance: standing.day.allowance,
            day_spent: standing.day.spent.total(),
            day_spent_by_lane: standing
                .day
                .spent
                .iter()
                .map(|(lane, spent)| (lane.as_str().to_owned(), *spent))
                .collect(),
            zoho_left: standing.day.reported_left,
            zoho_left_age_seconds: standing.day.reported_age.map(|age| age.as_secs()),
            step: standing.throttle().as_str().to_owned(),
            day_expected: standing.day.expected,
            reads_wait_seconds: 0,
            postponed: Vec::new(),
            paused_for: standing.pause.map(|pause| word(pause.limit).to_owned()),
            paused_until: standing.pause.map(|pause| pause.until),
            applied_today: usage.applied,
            calls_per_applied: usage.calls_per_applied(),
            calls_today: calls_today.collect(),
            backlog_calls: forecast.backlog_calls,
            backlog_done_at: forecast.done_in.and_then(|wait| later(now, wait)),
        }
    }

    /// In one line, for `check`.
    pub(crate) fn line(standing: &BudgetStatus, per_minute: u32) -> String {
        let day = match (standing.day.left, standing.day.allowance) {
            (Some(left), Some(allowance)) => format!("{left} of {allowance} calls left today for TDS"),
            _ => "no daily limit known".to_owned(),
        };
        let zoho = standing
            .day
            .reported_left
            .map(|left| format!(", {left} by Zoho's own count"))
            .unwrap_or_default();
        let pause = standing.pause.map(|pause| format!("; paused until {}", pause.until)).unwrap_or_default();
        let step = match standing.throttle() {
            Throttle::Normal => String::new(),
            step => format!("; {}", step.as_str().replace('_', " ")),
        };
        let left = standing.minute_left.unwrap_or(per_minute);
        format!("{left} of {per_minute} calls left this minute, {day}{zoho}{step}{pause}")
    }
}

/// Calls that the waiting items will take: none where the list row is the whole record.
fn backlog_calls(queue: &QueueStats, registry: &Registry) -> u64 {
    let cost = |(entity, counts): (&EntityType, &StatusCounts)| {
        let profile = registry.source(entity)?.profile().clone();
        let waiting = u64::try_from(counts.pending + counts.failed).unwrap_or(0);
        let records = u64::try_from(profile.records_per_call.max(1)).unwrap_or(1);
        profile.reads_records().then(|| waiting.div_ceil(records))
    };
    queue.by_entity.iter().filter_map(cost).sum()
}

fn word(limit: CallLimit) -> &'static str {
    match limit {
        CallLimit::Minute => "minute",
        CallLimit::Day => "day",
        CallLimit::Concurrency => "concurrency",
    }
}

fn later(now: OffsetDateTime, wait: Duration) -> Option<OffsetDateTime> {
    time::Duration::try_from(wait).ok().and_then(|wait| now.checked_add(wait))
}
