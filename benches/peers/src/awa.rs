//! The drain by awa 0.6 with its queue storage: 200 workers, four claimers, and claims of 500 jobs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use awa::{Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{LOOK, cluster, rate};

#[derive(Serialize, Deserialize, JobArgs)]
struct NoOp {
    id: i64,
}

pub(crate) async fn drain(url: &str, items: i64) -> f64 {
    let pool = sqlx_of_awa(url).await;
    awa::migrations::run(&pool).await.expect("migrated");
    let handled = Arc::new(AtomicI64::new(0));
    let count = Arc::clone(&handled);
    let config = QueueConfig {
        max_workers: 200,
        claimers: 4,
        claim_batch_size: 500,
        poll_interval: Duration::from_millis(50),
        ..QueueConfig::default()
    };
    let client = Client::builder(pool.clone())
        .queue("bench", config)
        .register::<NoOp, _, _>(move |_job, _context| {
            let count = Arc::clone(&count);
            async move {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(JobResult::Completed)
            }
        })
        .build()
        .expect("a client");
    let jobs: Vec<InsertParams> = (0..items)
        .map(|id| InsertParams {
            kind: NoOp::kind().to_owned(),
            args: serde_json::json!({"id": id}),
            opts: InsertOpts { queue: "bench".to_owned(), ..InsertOpts::default() },
        })
        .collect();
    for jobs in jobs.chunks(5_000) {
        awa::insert_many_copy_from_pool(&pool, jobs).await.expect("inserted");
    }
    cluster::run(url, "VACUUM (ANALYZE)".to_owned()).await;
    let began = Instant::now();
    client.start().await.expect("started");
    while handled.load(Ordering::Relaxed) < items {
        tokio::time::sleep(LOOK).await;
    }
    let rate = rate(items, began);
    client.shutdown(Duration::from_secs(10)).await;
    pool.close().await;
    rate
}

/// Connects with the release of sqlx that awa itself uses.
async fn sqlx_of_awa(url: &str) -> sqlx_awa::PgPool {
    sqlx_awa::PgPool::connect(url).await.expect("connected")
}
