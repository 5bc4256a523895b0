//! What the limits of Zoho leave, and what calls are spent on.

use std::time::Duration;

use tds_core::{
    engine::Registry,
    error::Result,
    limits::budget::{BudgetStatus, Throttle, Usage, forecast},
    queue::{QueueStats, StatusCounts},
    record::EntityType,
    runs::RunType,
};
use tds_zoho::entities::Catalogue;
use time::OffsetDateTime;

use super::services::Services;

/// The calls that may still be made today, and the calls that were made.
pub(crate) struct Budget {
    pub(crate) status: BudgetStatus,
    /// The calls of today.
    pub(crate) usage: Usage,
    /// The ceiling of calls in any 60 seconds.
    pub(crate) per_minute: u32,
    /// The longest time that reads for webhooks wait so that calls are saved.
    pub(crate) reads_wait: Duration,
    /// The entity types whose scheduled incremental syncs are postponed until the budget has recovered.
    pub(crate) postponed: Vec<EntityType>,
    /// The number of calls that the records in the queue will take.
    pub(crate) backlog_calls: u64,
    /// The time at which the last of the backlog calls will have been made, at the pace that the budget allows.
    /// `None`: the end is too far away to be planned.
    pub(crate) backlog_done_at: Option<OffsetDateTime>,
}

/// Reads the status and the usage of the budget, and computes the forecast.
///
/// # Errors
/// Fails if the store that keeps the budget does not answer.
pub(crate) async fn look(services: &Services, queue: &QueueStats) -> Result<Budget> {
    let Services { zoho, catalogue, engine, clock, .. } = services;
    let (registry, now) = (engine.registry(), clock.now());
    let (status, usage) = tokio::try_join!(zoho.status(), zoho.usage())?;
    let per_minute = zoho.requests_per_minute();
    let pace = per_minute.saturating_sub(status.minute_reserve).max(1);
    let forecast = forecast(now, &status, pace, backlog_calls(queue, registry));
    let waits =
        |entity: &&EntityType| is_postponed(catalogue, entity, RunType::Incremental, status.throttle());
    Ok(Budget {
        postponed: registry.polled().filter(waits).cloned().collect(),
        reads_wait: zoho.reads_wait(),
        backlog_calls: forecast.backlog_calls,
        backlog_done_at: forecast.done_in.and_then(|wait| later(now, wait)),
        status,
        usage,
        per_minute,
    })
}

/// Returns `true` if a schedule is postponed. While the budget of the day does not suffice, comparisons wait, and
/// incremental syncs wait, except those of the entity types that matter most. Webhooks and full syncs still bring the
/// changes.
pub(crate) fn is_postponed(
    catalogue: &Catalogue,
    entity: &EntityType,
    run_type: RunType,
    step: Throttle,
) -> bool {
    let matters_most = catalogue.find(entity).is_some_and(|descriptor| descriptor.matters_most);
    let can_wait = match run_type {
        RunType::Incremental => !matters_most,
        RunType::Verify => true,
        RunType::Full | RunType::Images => false,
    };
    step >= Throttle::Frugal && can_wait
}

/// Returns the budget as one line of text.
pub(crate) fn line(status: &BudgetStatus, per_minute: u32) -> String {
    let day = match (status.day.left, status.day.allowance) {
        (Some(left), Some(allowance)) => format!("{left} of {allowance} calls left today for TDS"),
        _ => "no daily limit known".to_owned(),
    };
    let zoho = status.day.reported_left.map(|left| format!(", {left} by Zoho's count")).unwrap_or_default();
    let pause = status.pause.map(|pause| format!("; paused until {}", pause.until)).unwrap_or_default();
    let step = match status.throttle() {
        Throttle::Normal => String::new(),
        step => format!("; {}", step.as_str().replace('_', " ")),
    };
    let left = status.minute_left.unwrap_or(per_minute);
    format!("{left} of {per_minute} calls left this minute, {day}{zoho}{step}{pause}")
}

/// Returns the number of calls that the waiting items will take. Entity types whose list row is the whole record take
/// none.
fn backlog_calls(queue: &QueueStats, registry: &Registry) -> u64 {
    let cost = |(entity, counts): (&EntityType, &StatusCounts)| {
        let profile = registry.source(entity)?.profile().clone();
        let waiting = u64::try_from(counts.pending + counts.failed).unwrap_or(0);
        let records = u64::try_from(profile.records_per_call.max(1)).unwrap_or(1);
        profile.reads_records().then(|| waiting.div_ceil(records))
    };
    queue.by_entity.iter().filter_map(cost).sum()
}

fn later(now: OffsetDateTime, wait: Duration) -> Option<OffsetDateTime> {
    time::Duration::try_from(wait).ok().and_then(|wait| now.checked_add(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_important_schedules_are_postponed_while_calls_are_short() {
        let catalogue = Catalogue::default();
        let (bills, prices) = (EntityType::from_static("bills"), EntityType::from_static("prices"));
        let steps = Throttle::ALL.map(|step| is_postponed(&catalogue, &bills, RunType::Incremental, step));
        assert_eq!(steps, [false, false, true, true, true, true]);
        assert!(!is_postponed(&catalogue, &prices, RunType::Incremental, Throttle::Spent));
        assert!(is_postponed(&catalogue, &prices, RunType::Verify, Throttle::Frugal));
        // The budget itself makes full syncs wait.
        assert!(!is_postponed(&catalogue, &bills, RunType::Full, Throttle::Frugal));
    }
}
