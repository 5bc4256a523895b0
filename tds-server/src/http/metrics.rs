//! Prometheus metrics. Each application has its own recorder, so that several applications in one process (tests, the
//! demo) do not mix their series.

mod families;
mod figures;
mod process;
mod program;
mod routes;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tds_core::measures::OutboxCounts;
use tds_postgres::{Database, PgStore};
use tds_zoho::write::contracts;
use time::OffsetDateTime;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use self::routes::Routes;
use crate::app::{
    activity::{Activity, EntityActivity, Snapshot},
    events::Reception,
    health::{Health, HealthStatus},
    plan::CostSettings,
    runs::MODES,
    services::Services,
    webhooks::{Kept, NotKept},
};

/// The time that the gauges may wait for the database. A monitor gives up after ten seconds, and while the database is
/// unavailable, the monitor needs the other series most.
const LOOK: Duration = Duration::from_secs(4);

/// The size of the database is read at most this often, because PostgreSQL looks at each of its files.
const SIZE_EVERY: Duration = Duration::from_secs(300);

const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The buckets of each route, and of each entity type. They are few, because there are many routes and entity types.
const SECONDS_OF_ROUTES: [f64; 4] = [0.01, 0.1, 1.0, 5.0];
const SECONDS_OF_JOBS: [f64; 1] = [1.0];

/// The buckets of the number of webhooks in one commit.
const ROWS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0];

/// The number of samples of histograms that may gather before they are put into their buckets.
const GATHERED: usize = 4_096;

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
    routes: Routes,
    /// The number of samples of histograms since the start. The recorder keeps each sample until it is asked.
    samples: AtomicUsize,
    database: OnceLock<Database>,
    sized: Mutex<Option<Instant>>,
}

impl Metrics {
    /// Creates the metrics with all their series.
    pub(crate) fn new(services: &Services, costs: &CostSettings) -> Arc<Self> {
        let metrics = Self::with_buckets();
        metrics.record(|| {
            families::describe();
            gauge!("tds_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
            for result in WebhookResult::ALL {
                counter!("tds_webhook_requests_total", "source" => "zoho", "result" => result.as_str())
                    .absolute(0);
            }
            drop(histogram!("tds_webhook_request_duration_seconds", "source" => "zoho"));
            for kind in ["event", "run", "waiter"] {
                counter!("tds_healed_total", "kind" => kind).absolute(0);
            }
            gauge!("tds_database_size_bytes").set(f64::NAN);
            metrics.routes.at_start();
            program::no_calls();
            program::no_commits();
            program::no_jobs(&services.engine);
            figures::activity(&nothing_yet(services));
            figures::no_budget();
            periods(services, costs);
        });
        let metrics = Arc::new(metrics);
        let watching = Arc::clone(&metrics);
        services.zoho.watch_calls(Arc::new(move |call| watching.observe(1, || program::call(call))));
        let watching = Arc::clone(&metrics);
        let tally = services.engine.worker.tally();
        tally.watch(Arc::new(move |items| watching.observe(items.count, || program::jobs(items))));
        metrics
    }

    fn with_buckets() -> Self {
        // Only an empty list of buckets is refused.
        let buckets = |builder: PrometheusBuilder, matcher, seconds: &[f64]| {
            builder.set_buckets_for_metric(matcher, seconds).unwrap_or_else(|_| PrometheusBuilder::new())
        };
        let suffix = Matcher::Suffix("duration_seconds".to_owned());
        let of = |name: &str| Matcher::Full(name.to_owned());
        let builder = buckets(PrometheusBuilder::new(), suffix, &SECONDS);
        let builder = buckets(builder, of("tds_http_request_duration_seconds"), &SECONDS_OF_ROUTES);
        let builder = buckets(builder, of("tds_job_duration_seconds"), &SECONDS_OF_JOBS);
        let recorder = buckets(builder, of("tds_ingest_batch_rows"), &ROWS).build_recorder();
        Self {
            handle: recorder.handle(),
            recorder,
            routes: Routes::default(),
            samples: AtomicUsize::new(0),
            database: OnceLock::new(),
            sized: Mutex::default(),
        }
    }

    /// Adds the figures of the database, of its connections and of the commits of webhooks.
    pub(crate) fn watch_storage(self: &Arc<Self>, database: &Database, store: &PgStore) {
        // A second database is not watched: an application has one.
        self.database.get_or_init(|| database.clone());
        let watching = Arc::clone(self);
        store.watch_commits(Arc::new(move |commit| watching.observe(2, || program::commit(commit))));
    }

    /// Counts one answered request.
    pub(crate) fn request(&self, route: &str, status: StatusCode, elapsed: Duration) {
        self.observe(2, || self.routes.answered(route, status, elapsed));
    }

    /// Counts one webhook request.
    pub(crate) fn webhook(&self, result: WebhookResult, elapsed: Duration) {
        self.observe(1, || {
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
    pub(crate) async fn render(&self, services: &Services, activity: &Activity, health: &Health) -> String {
        let now = services.clock.now();
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
            program::work(&services.engine, services.engine.worker.tally());
            program::token(&services.zoho.token_figures(), now);
            program::pools(self.database.get());
        });
        self.handle.run_upkeep();
        self.handle.render() + &process::render()
    }

    async fn look(&self, activity: &Activity, now: OffsetDateTime) -> tds_core::error::Result<()> {
        let snapshot = activity.recent().await?;
        self.record(|| figures::activity(&snapshot));
        let budget = activity.budget(&snapshot.stats).await?;
        self.record(|| figures::budget(&budget, now));
        self.look_at_the_size().await
    }

    async fn look_at_the_size(&self) -> tds_core::error::Result<()> {
        let Some(database) = self.database.get() else { return Ok(()) };
        let mut sized = self.sized.lock().await;
        if sized.is_none_or(|at| at.elapsed() >= SIZE_EVERY) {
            let bytes = database.size().await?;
            self.record(|| gauge!("tds_database_size_bytes").set(count(bytes)));
            *sized = Some(Instant::now());
        }
        Ok(())
    }

    /// Records samples of histograms. The samples that have gathered are put into their buckets now and then, so that
    /// the memory of a process does not grow while no monitor asks for `/metrics`.
    fn observe(&self, samples: usize, emit: impl FnOnce()) {
        self.record(emit);
        let before = self.samples.fetch_add(samples, Ordering::Relaxed);
        if before / GATHERED != before.wrapping_add(samples) / GATHERED {
            self.handle.run_upkeep();
        }
    }

    fn record(&self, emit: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, emit);
    }
}

/// Returns the figures of a store without items.
fn nothing_yet(services: &Services) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for entity in services.engine.registry().entities() {
        snapshot.stats.by_entity.entry(entity.clone()).or_default();
        snapshot.entities.insert(entity.clone(), EntityActivity::default());
    }
    snapshot.outbox =
        contracts().map(|contract| (contract.entity.clone(), OutboxCounts::default())).collect();
    snapshot
}

/// Sets the shortest period of the syncs of each entity type.
fn periods(services: &Services, costs: &CostSettings) {
    let mut periods: BTreeMap<&str, Duration> = BTreeMap::new();
    for schedule in costs.schedules.iter().filter(|schedule| MODES.contains(&schedule.run_type)) {
        let period = periods.entry(schedule.entity.as_str()).or_insert(schedule.every);
        *period = schedule.every.min(*period);
    }
    for entity in services.engine.registry().entities() {
        let period = periods.get(entity.as_str()).copied().unwrap_or_default();
        gauge!("tds_sync_period_seconds", "entity" => entity.as_str().to_owned()).set(period.as_secs_f64());
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn number(count: i64) -> f64 {
    count as f64
}

fn count(count: u64) -> f64 {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory of this process, in bytes.
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
        let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
        pages * 4_096
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
    fn the_memory_does_not_grow_while_nobody_asks_for_the_metrics() {
        let metrics = Metrics::with_buckets();
        let answer = || metrics.webhook(WebhookResult::Accepted, Duration::from_millis(1));
        (0..GATHERED * 2).for_each(|_| answer());
        let before = resident();
        // Without buckets, each sample takes 16 bytes.
        (0..1_500_000).for_each(|_| answer());
        let grown = resident().saturating_sub(before);
        assert!(grown < 8 << 20, "{grown} bytes more");
        let all = metrics.handle.render();
        let count = 1_500_000 + GATHERED * 2;
        let line = format!(r#"tds_webhook_request_duration_seconds_count{{source="zoho"}} {count}"#);
        assert!(all.contains(&line), "{line} in\n{all}");
    }
}
