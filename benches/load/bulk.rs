//! The peak memory and the rate of a full sync of 100,000 and of 1,000,000 products. The source generates its pages
//! and keeps nothing.
//!
//! Each sync runs in its own process with the run executor, the workers and the mirror of `serve`. As in Zoho, lists
//! come in pages of 200 and details in batches of 100, but without any delay.

use std::{process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use tds_core::{
    clock::{Clock, SystemClock},
    engine::{Engine, Stores},
    error::Result,
    mirror::MirrorSchema,
    queue::Lane,
    record::{
        Content, EntityType, Interval, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
        SourcePayload, list_hash,
    },
    runs::{NewRun, RunStatus, RunType, SyncRunOperator},
    source::{ListPage, ListRequest, Listed, Source, SourceProfile},
};
use tds_postgres::{PgMirror, PgStore, StoreSettings};
use tokio::{process::Command, time::Instant};

use crate::{
    apply,
    cluster::{self, Cluster, count},
    report::{Report, say},
    server::memory_mb,
    webhooks,
};

static PRODUCTS: EntityType = EntityType::from_static("products");
const PAGE: u64 = 200;
const SMALL: u64 = 100_000;
const LARGE: u64 = 1_000_000;

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let small = sync(&mut cluster, SMALL).await;
    let large = sync(&mut cluster, LARGE).await;
    report.figure("bulk_records_per_s", large.1, "records/s");
    report.figure("bulk_rate_1m_vs_100k", large.1 / small.1, "times");
    report.at_most("bulk_rss_mb_1m", large.0, 150.0);
    report.at_most("bulk_rss_1m_vs_100k", large.0 / small.0, 1.2);
    cluster.stop().await;
}

/// Returns the peak memory in megabytes, and the records per second.
async fn sync(cluster: &mut Cluster, records: u64) -> (f64, f64) {
    let url = cluster.migrated().await;
    let began = Instant::now();
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["child", "bulk", &url, &records.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .expect("a process");
    let elapsed = began.elapsed().as_secs_f64();
    assert!(output.status.success(), "the sync succeeded");
    let written = count(&url, "SELECT count(*) FROM erp.products WHERE sku IS NOT NULL").await;
    assert_eq!(u64::try_from(written).expect("small"), records, "every record has its row");
    let peak: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let rate = records as f64 / elapsed;
    say(&format!("bulk: {records} records at {rate:.0}/s with {peak:.0} MB"));
    (peak, rate)
}

/// The process of one sync. It prints its peak memory in megabytes.
#[expect(clippy::print_stdout, reason = "what the parent reads")]
pub(crate) async fn child(url: &str, records: &str) {
    let database = cluster::database(url, 20).await;
    let store = PgStore::new(database.clone(), StoreSettings::default());
    let stores = Stores::new(&store, PgMirror::new(database.clone()));
    let source: Arc<dyn Source> =
        Arc::new(MadeUp { products: apply::source(&PRODUCTS), records: records.parse().expect("a number") });
    let run = store.create(request()).await.expect("a run");
    let engine = Engine::builder(stores).source(source).start();
    loop {
        let run = store.get_run(run.id).await.expect("read").expect("there");
        match run.status {
            RunStatus::Completed => break,
            RunStatus::Pending | RunStatus::Running => tokio::time::sleep(Duration::from_millis(200)).await,
            other => panic!("the run ended {other:?}: {:?}", run.error_log),
        }
    }
    println!("{}", memory_mb(std::process::id(), "VmHWM"));
    engine.stop().await;
}

fn request() -> NewRun {
    NewRun::new(PRODUCTS.clone(), RunType::Full, "bench", "bench")
}

/// A source of Zoho products that are all alike and are generated on request.
struct MadeUp {
    products: Arc<dyn Source>,
    records: u64,
}

impl MadeUp {
    fn payload(&self, number: u64, shape: Shape) -> SourcePayload {
        let body = webhooks::body(number, 0);
        let json = body.strip_prefix("{\"item\":").and_then(|rest| rest.strip_suffix('}')).expect("an item");
        SourcePayload { shape, observed: Observed::Call(now()), json: Payload::new(json) }
    }

    fn record(&self, number: u64, shape: Shape) -> Record {
        self.products.decode(&self.payload(number, shape)).expect("an item")
    }
}

#[async_trait]
impl Source for MadeUp {
    fn schema(&self) -> &MirrorSchema {
        self.products.schema()
    }

    fn profile(&self) -> &SourceProfile {
        self.products.profile()
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        let first: u64 = request.cursor.as_deref().map_or(0, |cursor| cursor.parse().expect("ours"));
        let end = (first + PAGE).min(self.records);
        let row = |number| {
            let record = self.record(number, Shape::List);
            Listed {
                id: record.id.clone(),
                version: record.version,
                hash: list_hash(&record),
                payload: Some(self.payload(number, Shape::List)),
            }
        };
        let next = (end < self.records).then(|| end.to_string());
        Ok(ListPage {
            rows: (first..end).map(row).collect(),
            next,
            observed: now(),
            server_time: None,
            learned: None,
        })
    }

    async fn fetch(&self, ids: &[RecordId], _lane: Lane) -> Vec<Result<Read>> {
        let read = |id: &RecordId| {
            let number =
                id.as_str().strip_prefix("46000000").and_then(|rest| rest.parse().ok()).expect("ours");
            let record = self.record(number, Shape::Detail);
            Ok(Read {
                key: RecordKey::new(PRODUCTS.clone(), id.clone()),
                shape: Shape::Detail,
                observed: Observed::Call(now()),
                content: Content::Present(Box::new(record)),
                listed: None,
                follow: None,
                cause: None,
            })
        };
        ids.iter().map(read).collect()
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        self.products.decode(payload)
    }
}

fn now() -> Interval {
    let now = SystemClock.now();
    Interval { began: now, ended: now }
}
