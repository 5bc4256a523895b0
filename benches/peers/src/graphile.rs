//! The drain by graphile_worker 0.14, with the local queue, batched completion and concurrency of its own benchmark.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{LOOK, cluster, rate};

#[derive(Clone, Debug)]
struct Handled(Arc<AtomicI64>);

#[derive(Serialize, Deserialize)]
struct NoOp {
    id: i64,
}

impl TaskHandler for NoOp {
    const IDENTIFIER: &'static str = "no_op";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(handled) = context.get_ext::<Handled>() {
            handled.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<(), String>(())
    }
}

pub(crate) async fn drain(url: &str, items: i64) -> f64 {
    let handled = Arc::new(AtomicI64::new(0));
    let worker = WorkerOptions::default()
        .database_url(url)
        .max_pg_conn(10)
        .schema("graphile_worker")
        .concurrency(500)
        .poll_interval(Duration::from_millis(5))
        .complete_job_batch_delay(Duration::from_millis(5))
        .add_extension(Handled(Arc::clone(&handled)))
        .local_queue(LocalQueueConfig::default().with_size(5_000))
        .listen_os_shutdown_signals(false)
        .define_job::<NoOp>()
        .init()
        .await
        .expect("a worker");
    let jobs: Vec<RawJobSpec> = (0..items)
        .map(|id| RawJobSpec {
            identifier: "no_op".to_owned(),
            payload: serde_json::json!({"id": id}),
            spec: JobSpec::default(),
        })
        .collect();
    for jobs in jobs.chunks(10_000) {
        worker.create_utils().add_raw_jobs(jobs).await.expect("added");
    }
    cluster::run(url, "VACUUM (ANALYZE)".to_owned()).await;
    let worker = Arc::new(worker);
    let running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    let began = Instant::now();
    while handled.load(Ordering::Relaxed) < items {
        tokio::time::sleep(LOOK).await;
    }
    // A handled job is not yet durable. A job has ended when its row has left the table.
    while cluster::count(url, "SELECT count(*) FROM graphile_worker._private_jobs").await > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let rate = rate(items, began);
    worker.request_shutdown();
    running.await.expect("an end").expect("a good end");
    rate
}
