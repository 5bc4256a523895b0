//! Checks that the queue stays fast with ten million completed items in the archive, and with a snapshot held open.

use sqlx::Connection as _;

use crate::{
    cluster::{self, Cluster, connect},
    report::{Report, median, say},
    work,
};

const ROUNDS: usize = 3;
const ITEMS: i64 = 50_000;
const HISTORY: i64 = 10_000_000;

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let (fresh, old) = (cluster.migrated().await, cluster.migrated().await);
    fill_history(&old).await;
    let (mut without, mut with, mut pinned) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        work::fill(&fresh, ITEMS).await;
        without.push(work::drain(&fresh, ITEMS).await);
        work::fill(&old, ITEMS).await;
        with.push(work::drain(&old, ITEMS).await);
        pinned.push(drain_pinned(&fresh).await);
        say(&format!("flat: fresh {without:.0?}, 10 M {with:.0?}, pinned {pinned:.0?}"));
    }
    report.at_least("flat_10m", median(with) / median(without.clone()), 0.9);
    report.at_least("flat_pinned", median(pinned) / median(without), 0.9);
    cluster.stop().await;
}

/// Drains the queue while an open snapshot keeps PostgreSQL from removing dead rows.
async fn drain_pinned(url: &str) -> f64 {
    let mut holder = connect(url).await;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tds_queue_live")
        .execute(&mut holder)
        .await
        .expect("a snapshot");
    work::fill(url, ITEMS).await;
    let rate = work::drain(url, ITEMS).await;
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.expect("released");
    holder.close().await.expect("closed");
    rate
}

/// Inserts thirty days of completed items.
async fn fill_history(url: &str) {
    say("flat: ten million completed items");
    let fill = format!(
        "INSERT INTO tds_queue_done (id, entity_type, zoho_entity_id, direction, priority, outcome, retry_count,
           queued_at, processing_started_at, processing_completed_at, run_at, worker)
         SELECT -n, 'products', (450000000000 + n % 50000)::text, 'inbound', 20, 'applied', 0, at, at, at, at, 'bench'
           FROM (SELECT n, now() - interval '30 days' * (1 - n::float8 / {HISTORY}) AS at
                   FROM generate_series(1, {HISTORY}) AS n) AS ended"
    );
    cluster::run(url, fill).await;
    cluster::run(url, "VACUUM (ANALYZE) tds_queue_done".to_owned()).await;
}
