//! Prometheus metrics. Each application has its own recorder, so that several applications in one process (tests, the
//! demo) do not mix their series.

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tds_core::{limits::budget::Throttle, verify::DriftClass};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::app::{
    activity::{Activity, Snapshot},
    budget::Budget,
    events::Reception,
    health::{Health, HealthStatus},
    webhooks::{Kept, NotKept},
};

/// The time that the gauges may wait for the database. A monitor gives up after ten seconds, and while the database is
/// unavailable, the monitor needs the other series most.
const LOOK: Duration = Duration::from_secs(4);

const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

tds_core::closed_set! {
    /// The result of a webhook request.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum WebhookResult {
        Accepted = "accepted",
        Duplicate = "duplicate",
        Ignored = "ignored",
        Unparsed = "unparsed",
        Unauthorized = "unauthorized",
        Refused = "refused",
        Unavailable = "unavailable",
    }
}

impl WebhookResult {
    /// Returns the result of a delivery.
    pub(crate) fn of(kept: &Result<Kept, NotKept>) -> Self {
        match kept {
            Ok(Kept { duplicate: true, .. }) => Self::Duplicate,
            Ok(Kept { reception, .. }) => match reception {
                Reception::Accepted => Self::Accepted,
                Reception::Ignored => Self::Ignored,
                Reception::Unparsed => Self::Unparsed,
            },
            Err(NotKept::NotAuthentic { .. }) => Self::Unauthorized,
            Err(NotKept::NotStored) => Self::Unavailable,
            Err(NotKept::Encoded | NotKept::NotConfigured) => Self::Refused,
        }
    }

    /// Returns the result of a request that no handler of webhooks completed.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            status if status.is_server_error() => Self::Unavailable,
            _ => Self::Refused,
        }
    }
}

/// The counters, gauges and histograms of one application.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let suffix = Matcher::Suffix("duration_seconds".to_owned());
        let builder = PrometheusBuilder::new();
        // Only an empty list of buckets is refused.
        let builder =
            builder.set_buckets_for_metric(suffix, &SECONDS).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let metrics = Self { handle: recorder.handle(), recorder };
        metrics.record(|| {
            gauge!("tds_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            for result in WebhookResult::ALL {
                counter!("tds_webhook_requests_total", "source" => "zoho", "result" => result.as_str())
                    .absolute(0);
            }
            for kind in ["event", "run", "waiter"] {
                counter!("tds_healed_total", "kind" => kind).absolute(0);
            }
        });
        metrics
    }

    /// Counts one answered request.
    pub(crate) fn request(&self, route: &str, status: StatusCode, elapsed: Duration) {
        self.record(|| {
            let route = route.to_owned();
            counter!("tds_http_requests_total", "route" => route.clone(), "status" => status.as_u16().to_string())
                .increment(1);
            histogram!("tds_http_request_duration_seconds", "route" => route).record(elapsed);
        });
    }

    /// Counts one webhook request.
    pub(crate) fn webhook(&self, result: WebhookResult, elapsed: Duration) {
        self.record(|| {
            counter!("tds_webhook_requests_total", "source" => "zoho", "result" => result.as_str())
                .increment(1);
            histogram!("tds_webhook_request_duration_seconds", "source" => "zoho").record(elapsed);
        });
    }

    /// Counts things that had lost their items and were repaired.
    pub(crate) fn healed(&self, kind: &'static str, count: u64) {
        self.record(|| counter!("tds_healed_total", "kind" => kind).increment(count));
    }

    /// Returns all series in Prometheus' text format, after updating the gauges.
    pub(crate) async fn render(&self, activity: &Activity, health: &Health, now: OffsetDateTime) -> String {
        match timeout(LOOK, self.look(activity, now)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %error.chain(), "the gauges show an older state"),
            Err(_elapsed) => tracing::warn!("the database does not answer; the gauges show an older state"),
        }
        let report = health.report().await;
        self.record(|| {
            for (component, health) in &report.components {
                let healthy = health.state == HealthStatus::Healthy;
                gauge!("tds_component_healthy", "component" => *component).set(f64::from(u8::from(healthy)));
            }
        });
        self.handle.run_upkeep();
        self.handle.render()
    }

    async fn look(&self, activity: &Activity, now: OffsetDateTime) -> tds_core::error::Result<()> {
        let snapshot = activity.recent().await?;
        self.record(|| figures(&snapshot));
        let budget = activity.budget(&snapshot.stats).await?;
        self.record(|| budget_figures(&budget, now));
        Ok(())
    }

    fn record(&self, emit: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, emit);
    }
}

fn figures(snapshot: &Snapshot) {
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
            gauge!("tds_drift_records", "entity" => entity.as_str().to_owned(), "class" => class.as_str())
                .set(count(drift));
        }
        gauge!("tds_verify_last_completed_timestamp_seconds", "entity" => entity.as_str().to_owned())
            .set(timestamp(verified.and_then(|report| report.completed_at)));
    }
    for (entity, counts) in &snapshot.outbox {
        let entity = entity.as_str().to_owned();
        gauge!("tds_outbox_pending", "entity" => entity.clone()).set(count(counts.pending));
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

fn budget_figures(budget: &Budget, now: OffsetDateTime) {
    let Budget { status, usage, .. } = budget;
    for (window, left) in [("minute", status.minute_left), ("day", status.day.left)] {
        if let Some(left) = left {
            gauge!("tds_source_budget_remaining", "window" => window).set(f64::from(left));
        }
    }
    for (window, limit) in [("minute", Some(budget.per_minute)), ("day", status.day.allowance)] {
        if let Some(limit) = limit {
            gauge!("tds_source_budget_limit", "window" => window).set(f64::from(limit));
        }
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
    if let Some(done) = budget.backlog_done_at {
        gauge!("tds_source_backlog_seconds").set((done - now).as_seconds_f64().max(0.0));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn number(count: i64) -> f64 {
    count as f64
}

fn count(count: u64) -> f64 {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Returns the time in seconds since 1970, or 0 if there is none.
fn timestamp(at: Option<OffsetDateTime>) -> f64 {
    at.map_or(0.0, |at| number(at.unix_timestamp()))
}
