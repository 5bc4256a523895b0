//! The drain by apalis 1.0 with apalis-postgres 1.0: batches of 1,000, `lock_tasks(false)`, and
//! `persist_results(true)`.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use apalis::prelude::{BoxDynError, Data, TaskSink as _, WorkerBuilder};
use apalis_postgres::{Config, PgPool, PostgresStorage};
use futures_util::stream;
use tokio::time::Instant;

use crate::{LOOK, cluster, rate};

async fn no_op(_item: i64, handled: Data<Arc<AtomicI64>>) -> Result<(), BoxDynError> {
    handled.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

pub(crate) async fn drain(url: &str, items: i64) -> f64 {
    let pool = PgPool::connect(url).await.expect("connected");
    PostgresStorage::setup(&pool).await.expect("migrated");
    let config = Config::default().queue("bench").batch_size(1_000).lock_tasks(false).persist_results(true);
    let mut backend = PostgresStorage::new(&pool).with_config(config);
    let mut tasks = stream::iter(0..items);
    backend.push_stream(&mut tasks).await.expect("pushed");
    cluster::run(url, "VACUUM (ANALYZE)".to_owned()).await;
    let handled = Arc::new(AtomicI64::new(0));
    let worker = WorkerBuilder::new("bench").backend(backend).data(Arc::clone(&handled)).build(no_op);
    let began = Instant::now();
    let running = tokio::spawn(worker.run());
    while handled.load(Ordering::Relaxed) < items {
        tokio::time::sleep(LOOK).await;
    }
    while cluster::count(url, "SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'").await > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let rate = rate(items, began);
    running.abort();
    pool.close().await;
    rate
}
