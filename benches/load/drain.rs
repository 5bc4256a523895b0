//! The items per second that pass through the queue with a handler that does nothing, compared with the same
//! statements driven by pgbench.
//!
//! One process handles 100,000 items of as many records. There are three rounds, and the sides take turns.

use crate::{
    cluster::{Cluster, count},
    pgbench,
    report::{Report, median, say},
    work,
};

const ROUNDS: usize = 3;
const ITEMS: i64 = 100_000;
/// The number of items that a process claims at a time while all its places are free.
const BATCH: i64 = 400;
const CLIENTS: usize = 5;

pub(crate) async fn run(report: &mut Report) {
    let mut cluster = Cluster::start().await;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let url = cluster.migrated().await;
        work::fill(&url, ITEMS).await;
        ours.push(work::drain(&url, ITEMS).await);
        assert_eq!(count(&url, "SELECT count(*) FROM tds_queue_done").await, ITEMS, "all are in the archive");
        let url = cluster.migrated().await;
        work::fill(&url, ITEMS).await;
        bare.push(statements(&url).await);
        say(&format!("drain: {ours:.0?} items/s, statements alone {bare:.0?}"));
    }
    let (ours, bare) = (median(ours), median(bare));
    report.figure("drain_per_s", ours, "items/s");
    report.at_least("drain_vs_sql", ours / bare, 0.7);
    cluster.stop().await;
}

/// Runs the statements of claiming and settling one after the other, without a program between them.
async fn statements(url: &str) -> f64 {
    let script = tds_postgres::testkit::pgbench_drain(BATCH);
    let rounds = usize::try_from(ITEMS / BATCH).expect("small");
    let per_second = pgbench::run(url, &script, CLIENTS, rounds).await;
    assert_eq!(count(url, "SELECT count(*) FROM tds_queue_live").await, 0, "nothing is left");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let rate = per_second * BATCH as f64;
    rate
}
