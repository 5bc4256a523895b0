//! The gauges of what the store knows: the queue, the entity types and the budget. All processes show the same values.

use metrics::gauge;
use tds_core::{limits::budget::Throttle, queue::Lane, verify::DriftClass};
use time::OffsetDateTime;

use super::{count, number};
use crate::app::{activity::Snapshot, budget::Budget};

/// Sets the gauges of the queue and of the entity types.
pub(super) fn activity(snapshot: &Snapshot) {
    for (name, counts) in &snapshot.stats.by_entity {
        let entity = name.as_str().to_owned();
        for (status, count) in counts.each() {
            gauge!("tds_queue_jobs", "entity" => entity.clone(), "state" => status.as_str())
                .set(number(count));
        }
        gauge!("tds_dead_letters", "entity" => entity.clone()).set(number(counts.dead_letter));
        let delays = snapshot.stats.delays.get(name).copied().unwrap_or_default();
        gauge!("tds_queue_oldest_age_seconds", "entity" => entity.clone()).set(delays.oldest.unwrap_or(0.0));
        for (statistic, seconds) in [("avg", delays.avg), ("p50", delays.p50), ("p99", delays.p99)] {
            gauge!("tds_end_to_end_lag_seconds", "entity" => entity.clone(), "statistic" => statistic)
                .set(seconds.unwrap_or(0.0));
        }
    }
    for (kind, count) in snapshot.stats.needs_attention.each() {
        gauge!("tds_needs_attention", "kind" => kind).set(number(count));
    }
    for entity in snapshot.entities.keys() {
        let verified = snapshot.verified.iter().find(|report| report.entity == *entity);
        for class in DriftClass::ALL {
            let drift = verified.and_then(|report| report.drift.get(&class)).copied().unwrap_or_default();
            gauge!("tds_drift_rows", "entity" => entity.as_str().to_owned(), "kind" => class.as_str())
                .set(count(drift));
        }
        gauge!("tds_verify_last_completed_timestamp_seconds", "entity" => entity.as_str().to_owned())
            .set(timestamp(verified.and_then(|report| report.completed_at)));
    }
    for (entity, counts) in &snapshot.outbox {
        let entity = entity.as_str().to_owned();
        gauge!("tds_outbox_pending", "entity" => entity.clone()).set(count(counts.pending));
        gauge!("tds_outbox_in_doubt", "entity" => entity.clone()).set(count(counts.in_doubt));
        gauge!("tds_conflicts_open", "entity" => entity).set(count(counts.conflicts));
    }
    gauge!("tds_deferred_items").set(number(snapshot.stats.deferred.count));
    gauge!("tds_oldest_waiting_seconds").set(snapshot.stats.overall.oldest.unwrap_or(0.0));
    for (entity, activity) in &snapshot.entities {
        let entity = entity.as_str().to_owned();
        let paused = f64::from(u8::from(activity.paused_since.is_some()));
        gauge!("tds_paused", "entity" => entity.clone()).set(paused);
        gauge!("tds_sync_last_success_timestamp_seconds", "entity" => entity.clone())
            .set(timestamp(activity.last_success_at));
        gauge!("tds_webhook_last_received_timestamp_seconds", "entity" => entity)
            .set(timestamp(activity.last_received_at));
    }
}

/// Sets the gauges of the budget before it was read.
pub(super) fn no_budget() {
    for window in ["minute", "day"] {
        gauge!("tds_source_budget_remaining", "window" => window).set(f64::NAN);
        gauge!("tds_source_budget_limit", "window" => window).set(0.0);
    }
    for lane in Lane::ALL {
        gauge!("tds_source_calls_today", "lane" => lane.as_str()).set(0.0);
    }
    for step in Throttle::ALL {
        gauge!("tds_source_budget_step", "step" => step.as_str()).set(0.0);
    }
    gauge!("tds_source_reads_wait_seconds").set(0.0);
    gauge!("tds_source_paused").set(0.0);
    gauge!("tds_source_calls_per_applied_record").set(0.0);
    gauge!("tds_source_backlog_calls").set(0.0);
    gauge!("tds_source_backlog_seconds").set(0.0);
}

/// Sets the gauges of the budget.
pub(super) fn budget(budget: &Budget, now: OffsetDateTime) {
    let Budget { status, usage, .. } = budget;
    // A comparison with NaN is never true. A remainder of zero would look like a budget that is spent.
    for (window, left) in [("minute", status.minute_left), ("day", status.day.left)] {
        gauge!("tds_source_budget_remaining", "window" => window).set(left.map_or(f64::NAN, f64::from));
    }
    for (window, limit) in [("minute", Some(budget.per_minute)), ("day", status.day.allowance)] {
        gauge!("tds_source_budget_limit", "window" => window).set(limit.map_or(0.0, f64::from));
    }
    for (lane, spent) in status.day.spent.iter() {
        gauge!("tds_source_calls_today", "lane" => lane.as_str()).set(f64::from(*spent));
    }
    for step in Throttle::ALL {
        let now_so = f64::from(u8::from(step == status.throttle()));
        gauge!("tds_source_budget_step", "step" => step.as_str()).set(now_so);
    }
    gauge!("tds_source_reads_wait_seconds").set(budget.reads_wait.as_secs_f64().trunc());
    gauge!("tds_source_paused").set(f64::from(u8::from(status.pause.is_some())));
    gauge!("tds_source_calls_per_applied_record").set(usage.calls_per_applied().unwrap_or(0.0));
    gauge!("tds_source_backlog_calls").set(count(budget.backlog_calls));
    let done_in = budget.backlog_done_at.map_or(f64::INFINITY, |done| (done - now).as_seconds_f64().max(0.0));
    gauge!("tds_source_backlog_seconds").set(done_in);
}

/// Returns the time in seconds since 1970, or 0 if there is none.
pub(super) fn timestamp(at: Option<OffsetDateTime>) -> f64 {
    at.map_or(0.0, |at| number(at.unix_timestamp()))
}
